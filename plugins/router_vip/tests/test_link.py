"""What happens on the link: announcements, other holders, interfaces that go down or away, neighbours in the same subnet."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hacore.testing.waiting import wait_for
from plugins.router_vip.tests.lab import VIP4, VIP6, Lab


@contextmanager
def listening(lab: Lab, program: str) -> Iterator["subprocess.Popen[str]"]:
    """A program of Python on the client's host, as root: it may read what is on the link."""
    words = [*lab.link.launcher("client"), "python3", "-c", program]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield process
        process.kill()


HEAR_ARP = f"""
import socket, json
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0); s.bind(("eth0", 0x0806)); s.settimeout(30); print("listens", flush=True)
found = []
while len(found) < 6:
    p, a = s.recvfrom(100)
    if socket.inet_ntoa(p[14:18]) == socket.inet_ntoa(p[24:28]) == "{VIP4}":
        found.append([p[7], p[8:14].hex(":"), a[2]])
print(json.dumps(found), flush=True)
"""
HEAR_ND = f"""
import socket, json
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6); s.settimeout(30); print("listens", flush=True)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
found = []
while len(found) < 3:
    p, c, _, a = s.recvmsg(2000, 100)
    if p[0] == 136 and socket.inet_ntop(socket.AF_INET6, p[8:24]) == "{VIP6}":
        found.append([p[4], p[26:32].hex(":"), a[0].split("%")[0], int.from_bytes(c[0][2], "little")])
print(json.dumps(found), flush=True)
"""


def test_an_ipv4_address_is_announced_as_request_and_as_reply_several_times(lab: Lab) -> None:
    a = lab.node("a", announcements=3, announcements_within=1, duplicate_probe=False)
    with listening(lab, HEAR_ARP) as listener:
        a.leads(60.0)
        found = json.loads(listener.stdout.readline()) if listener.stdout else []
    assert found == [[kind, lab.link.mac("a"), 1] for kind in (1, 2) * 3]  # broadcast, in turns


def test_an_ipv6_address_is_announced_with_override_from_the_link_itself(lab: Lab) -> None:
    a = lab.node("a", announcements=3, announcements_within=1, duplicate_probe=False)
    with listening(lab, HEAR_ND) as listener:
        a.leads(60.0)
        found = json.loads(listener.stdout.readline()) if listener.stdout else []
    assert found == [[0x20, lab.link.mac("a"), VIP6, 255]] * 3


def test_announcements_go_on_for_as_long_as_the_address_is_here(lab: Lab) -> None:
    a = lab.node("a", announcements=1, announce_every=1)
    a.leads(60.0)
    wait_for(lambda: a.metrics()["vip_announcements", None] >= 6, "three rounds", deadline_s=20.0)
    a.follows(token=2)
    at_the_end = a.metrics()["vip_announcements", None]
    b = lab.node("b", announcements=1, announce_every=1)
    b.leads(60.0, token=2)
    wait_for(lambda: b.metrics()["vip_announcements", None] >= 6, "three rounds of the next", deadline_s=20.0)
    assert a.metrics()["vip_announcements", None] <= at_the_end + 2  # a round that was under way


@pytest.mark.parametrize(("address", "words"), [(VIP4, [f"{VIP4}/24"]), (VIP6, [f"{VIP6}/64", "nodad"])])
def test_another_holder_is_said_and_the_address_stays(lab: Lab, address: str, words: list[str]) -> None:
    a = lab.node("a", addresses=[address])
    a.leads(60.0)
    assert lab.heard(address) == "a"
    assert a.metrics()["vip_duplicate", address] == 0
    a.follows()
    lab.link.ip("b", "addr", "add", *words, "dev", "eth0")
    a.leads(60.0, token=2)
    wait_for(lambda: a.metrics()["vip_duplicate", address] == 1, "the other holder is seen", deadline_s=10.0)
    assert lab.link.mac("b") in a.do("status")[1]["other holders"]
    assert lab.has("a", address)


def test_an_address_alone_is_no_duplicate(lab: Lab) -> None:
    a = lab.node("a", announcements=1, announce_every=1)
    a.leads(60.0)
    wait_for(lambda: a.metrics()["vip_announcements", None] >= 6, "three rounds", deadline_s=20.0)
    assert (a.metrics()["vip_duplicate", VIP4], a.metrics()["vip_duplicate", VIP6]) == (0, 0)


def test_an_interface_that_is_down_is_said_and_announced_again_when_it_is_up(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    assert lab.heard(VIP4) == lab.heard(VIP6) == "a"
    lab.link.ip("a", "link", "set", "eth0", "down")
    kind, found = a.leads(60.0, revision=2)
    assert (kind, found["reason"]) == ("Degraded", "eth0 is down")
    lab.link.ip("a", "link", "set", "eth0", "up")
    before = a.metrics()["vip_announcements", None]
    wait_for(lambda: a.leads(60.0, revision=3)[0] == "Applied", "it is applied again", deadline_s=10.0)
    wait_for(lambda: a.metrics()["vip_announcements", None] >= before + 4, "it is announced quickly", deadline_s=15.0)
    lab.leads_to("a")


def test_a_cable_that_is_cut_is_said_and_the_address_announced_when_it_is_mended(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    lab.link.cut("a")
    wait_for(lambda: a.leads(60.0, revision=2) == ("Degraded", {"reason": "eth0 is not connected"}), "it is said", deadline_s=10.0)
    lab.link.mend("a")
    wait_for(lambda: a.leads(60.0, revision=2)[0] == "Applied", "it is applied again", deadline_s=10.0)
    lab.leads_to("a")


def test_an_interface_that_was_renamed_is_said_and_its_address_is_still_removed(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    lab.link.ip("a", "link", "set", "eth0", "down")
    lab.link.ip("a", "link", "set", "eth0", "name", "lan0")
    lab.link.ip("a", "link", "set", "lan0", "up")
    kind, found = a.leads(60.0, revision=2)
    assert (kind, found["reason"]) == ("Degraded", "there is no interface eth0")
    assert VIP4 in lab.link.addresses("a", "lan0")
    assert a.follows(token=2)[0] == "Applied"
    assert VIP4 not in lab.link.addresses("a", "lan0")


def test_an_alternative_name_is_a_name(lab: Lab) -> None:
    lab.link.ip("a", "link", "property", "add", "dev", "eth0", "altname", "database")
    a = lab.node("a", interface="database")
    assert a.leads(60.0)[0] == "Applied"
    lab.leads_to("a", VIP6)


def test_the_machine_keeps_its_other_addresses_where_the_floating_one_was_first(lab: Lab) -> None:
    lab.link.ip("a", "addr", "flush", "dev", "eth0", "scope", "global")
    a = lab.node("a", addresses=[f"{VIP4}/24"], label="eth0:db")
    a.leads(60.0)
    assert lab.link.addresses("a")[VIP4]["label"] == "eth0:db"
    lab.link.ip("a", "addr", "add", f"{lab.link.ipv4('a')}/24", "dev", "eth0")
    assert lab.link.addresses("a")[lab.link.ipv4("a")].get("secondary")
    a.follows(token=2)
    assert lab.has("a", lab.link.ipv4("a"))
    assert not lab.has("a", VIP4)


def test_the_probe_tells_whether_the_address_is_here(lab: Lab) -> None:
    a = lab.node("a")
    assert a.do("probe") == ("NoneType", None)  # where else it may be cannot be seen
    a.leads(60.0)
    kind, found = a.do("probe")
    assert (kind, found["target"]) == ("Observed", "a")
    assert VIP4 in found["detail"]
    lab.link.ip("a", "addr", "flush", "dev", "eth0", "scope", "global")
    assert a.do("probe") == ("Observed", {"detail": "", "target": None})
    a.leads(60.0)
    assert (a.metrics()["vip_held", VIP4], a.metrics()["vip_held", VIP6]) == (1, 1)
