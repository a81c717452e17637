"""An address is where the lease is, and ends with it, whatever becomes of the process that put it there."""

import signal
import subprocess
import time

import pytest

from hacore.testing.capabilities import NET_ADMIN
from hacore.testing.waiting import wait_for
from plugins.router_vip.tests.lab import VIP4, VIP6, Lab

VALID_S = 4.0  # until the forced fence begins ...
BUDGET_S = 2.0  # ... and what it may take: with a ttl of 10 s or more


def wait_until_gone(lab: Lab, host: str, *, within_s: float) -> float:
    wait_for(lambda: not {VIP4, VIP6} & set(lab.link.addresses(host)), f"{host} has none of the addresses", deadline_s=within_s)
    return time.monotonic()


def switch_ipv6(lab: Lab, host: str, *, on: bool) -> None:
    setting = f"net.ipv6.conf.eth0.disable_ipv6={int(not on)}"
    subprocess.run([*lab.link.launcher(host), "sysctl", "-q", "-w", setting], check=True)


def test_a_client_follows_from_one_leader_to_the_next(lab: Lab) -> None:
    a, b = lab.node("a"), lab.node("b")
    for token, (leader, other, name) in enumerate([(a, b, "a"), (b, a, "b"), (a, b, "a")], start=1):
        assert other.follows(token=token)[0] == "Applied"
        assert leader.leads(60.0, token=token)[0] == "Applied"
        lab.leads_to(name)
        lab.is_known_at(name)


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_an_announcement_corrects_the_table_of_a_client_that_does_not_ask(lab: Lab, address: str) -> None:
    a, b = lab.node("a"), lab.node("b")
    a.leads(60.0)
    assert lab.heard(address) == "a"
    a.follows(token=2)
    b.leads(60.0, token=2)
    lab.is_known_at("b", address)


def test_a_lifetime_is_what_is_left_of_the_lease_in_whole_seconds(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(20.9)
    found = lab.link.addresses("a")
    assert 18 <= found[VIP4]["valid_life_time"] <= 20
    assert 18 <= found[VIP6]["valid_life_time"] <= 20
    a.leads(50.9, revision=2)
    assert 48 <= lab.link.addresses("a")[VIP4]["valid_life_time"] <= 50


def test_an_address_comes_with_the_writes_and_stays_with_the_lease(lab: Lab) -> None:
    a = lab.node("a")
    assert a.holds_the_lease(20.9)[0] == "Applied"  # it is not primary yet
    assert not {VIP4, VIP6} & set(lab.link.addresses("a"))
    a.leads(20.9, revision=2)
    assert a.holds_the_lease(50.9, revision=3)[0] == "Applied"  # PostgreSQL restarts
    assert 48 <= lab.link.addresses("a")[VIP4]["valid_life_time"] <= 50
    assert a.do("probe") == ("NoneType", None)
    a.do("revoke")
    assert not {VIP4, VIP6} & set(lab.link.addresses("a"))


def test_connections_of_the_machine_itself_do_not_begin_at_the_address(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    assert lab.link.addresses("a")[VIP6]["preferred_life_time"] == 0
    client4, client6 = lab.link.ipv4("client"), lab.link.ipv6("client")
    assert f"src {lab.link.ipv4('a')}" in lab.link.ip("a", "route", "get", client4)
    assert f"src {lab.link.ipv6('a')}" in lab.link.ip("a", "-6", "route", "get", client6)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_the_kernel_drops_the_address_of_a_process_that_is_frozen_or_killed(lab: Lab, number: signal.Signals) -> None:
    a, b = lab.node("a"), lab.node("b")
    a.leads(VALID_S)
    fence_ends_at = time.monotonic() + VALID_S + BUDGET_S
    assert lab.heard(VIP4) == "a"
    a.send(number)
    assert wait_until_gone(lab, "a", within_s=20.0) <= fence_ends_at
    b.leads(60.0, token=2)
    lab.leads_to("b")


def test_a_frozen_leader_that_goes_on_does_not_draw_clients_back(lab: Lab) -> None:
    a, b = lab.node("a", announce_every=1), lab.node("b")
    a.leads(3.0)
    wait_for(lambda: a.metrics()["vip_announcements", None] >= 2, "both addresses are announced", deadline_s=2.0)  # none is under way
    a.send(signal.SIGSTOP)
    wait_until_gone(lab, "a", within_s=10.0)
    b.leads(60.0, token=2)
    lab.leads_to("b")
    a.send(signal.SIGCONT)
    before = a.metrics()["vip_announcements", None]
    time.sleep(2.5)  # more than twice the time after which it would announce
    assert a.metrics()["vip_announcements", None] == before
    assert lab.link.neighbour("client", VIP4) == lab.link.mac("b")
    assert lab.heard(VIP4) == "b"


def test_renewals_keep_the_address_without_a_gap(lab: Lab) -> None:
    a = lab.node("a")
    a.follows(token=0)
    for revision in range(12):
        assert a.leads(3.9, revision=revision)[0] == "Applied"
        assert lab.heard(VIP4) == lab.heard(VIP6) == "a"
        time.sleep(0.5)  # a renewal's pace


def test_with_less_than_a_second_left_nothing_is_added_and_what_stands_ends_with_the_lease(lab: Lab) -> None:
    a = lab.node("a")
    assert a.leads(0.8)[0] == "Degraded"
    assert not {VIP4, VIP6} & set(lab.link.addresses("a"))
    a.leads(60.0, revision=2)
    assert lab.has("a")
    assert a.leads(0.8, revision=3)[0] == "Degraded"
    wait_until_gone(lab, "a", within_s=2.0)


def test_nothing_is_added_after_the_lease_by_a_process_that_stood_still_meanwhile(lab: Lab) -> None:
    kind, found = lab.node("a").do("route", leads=True, valid_s=1.6, token=1, revision=1, stalls_s=2.0)
    assert kind == "Degraded"
    assert "less than 1 s left" in found["reason"]
    assert not {VIP4, VIP6} & set(lab.link.addresses("a"))


def test_the_lease_that_ends_takes_the_address_with_it_at_once(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    assert lab.has("a")
    assert a.do("revoke")[0] == "Applied"
    assert not {VIP4, VIP6} & set(lab.link.addresses("a"))
    assert lab.has("a", lab.link.ipv4("a"), lab.link.ipv6("a"))


def test_an_orderly_end_of_the_agent_leaves_the_address_to_the_next_one_or_to_the_end_of_the_lease(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(8.0)
    assert a.ends() == 0
    assert lab.heard(VIP4) == "a"
    successor = lab.node("a")
    successor.leads(60.0)
    assert lab.link.addresses("a")[VIP4]["valid_life_time"] > 50
    assert successor.ends() == 0


def test_a_new_agent_removes_what_does_not_belong_here(lab: Lab) -> None:
    lab.link.ip("a", "addr", "add", f"{VIP4}/32", "dev", "eth0")  # for ever, and under another prefix
    a = lab.node("a")
    a.leads(60.0)
    assert lab.link.addresses("a")[VIP4]["prefixlen"] == 24
    assert lab.link.addresses("a")[VIP4]["valid_life_time"] <= 60
    a.do("revoke")
    lab.link.ip("a", "addr", "add", f"{VIP4}/32", "dev", "eth0")
    a.follows()
    assert not lab.has("a", VIP4)


def test_an_ipv6_address_under_another_prefix_is_put_right_at_once(lab: Lab) -> None:
    lab.link.ip("a", "addr", "add", f"{VIP6}/64", "dev", "eth0", "nodad")
    lab.node("a").leads(60.0)
    assert (lab.link.addresses("a")[VIP6]["prefixlen"], lab.link.addresses("a")[VIP6]["preferred_life_time"]) == (128, 0)


def test_an_address_that_somebody_has_removed_is_back_with_the_next_renewal(lab: Lab) -> None:
    a = lab.node("a")
    a.leads(60.0)
    assert lab.heard(VIP4) == "a"
    lab.link.ip("a", "addr", "del", f"{VIP4}/24", "dev", "eth0")
    assert lab.heard(VIP4) is None
    assert a.leads(60.0, revision=2)[0] == "Applied"
    lab.leads_to("a")


def test_an_address_that_the_kernel_refuses_is_said_and_keeps_no_other_from_clients(lab: Lab) -> None:
    switch_ipv6(lab, "a", on=False)
    a = lab.node("a", addresses=[VIP6, VIP4])
    kind, found = a.leads(60.0)
    assert kind == "Degraded"
    assert "disable_ipv6" in found["reason"]
    lab.leads_to("a", VIP4)
    lab.is_known_at("a", VIP4)
    wait_for(lambda: a.metrics()["vip_announcements", None] > 0, "it is announced", deadline_s=10.0)
    switch_ipv6(lab, "a", on=True)
    assert a.leads(60.0, revision=2)[0] == "Applied"
    assert lab.has("a")


def test_a_right_that_is_missing_is_named(lab: Lab) -> None:
    a = lab.node("a", capabilities=())
    assert a.follows()[0] == "Applied"
    kind, found = a.leads(60.0)
    assert kind == "Degraded"
    assert "CAP_NET_ADMIN" in found["reason"]


def test_net_admin_alone_suffices(lab: Lab) -> None:
    a, b = (lab.node(host, capabilities=(NET_ADMIN,)) for host in ("a", "b"))
    a.leads(60.0)
    lab.leads_to("a")
    a.follows(token=2)
    b.leads(60.0, token=2)
    lab.is_known_at("b")
    lab.leads_to("b")
    assert "kernel" in b.do("status")[1]["announced by"]
