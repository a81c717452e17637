"""The words of the runtime API."""

from ipaddress import IPv4Address

import pytest

from hacore_router_haproxy import wire
from hacore_router_haproxy.wire import GarbageError

COLUMNS = "# pxname,svname,qcur,scur,status,addr,"


def table(*rows: str) -> str:
    return "\n".join([COLUMNS, *(f"{row}," for row in rows)]) + "\n\n"


def test_a_backend_is_read_with_its_servers_and_its_queue() -> None:
    text = table("rw,hacore-token,0,0,MAINT,0.0.1.44:1", "rw,a,0,3,UP,127.0.0.1:1", "rw,b,0,0,MAINT,[::1]:2", "rw,BACKEND,7,3,UP,")
    shown = wire.tables(text, ["rw", "ro"])
    assert list(shown) == ["rw"]
    assert (shown["rw"].token, shown["rw"].is_closed, shown["rw"].queue, shown["rw"].open) == (300, False, 7, ("a",))
    assert {name: (one.sessions, one.admin, one.is_usable) for name, one in shown["rw"].servers.items()} == {
        "a": (3, "ready", True),
        "b": (0, "maint", False),
    }


def test_states_are_kept_without_what_the_new_text_says_better() -> None:
    line = "2 rw {} {} 10.0.0.1 2 4 1 1 0 1 0 2 6 0 0 0 - 5432 - 0 8008 - - 0"
    states = "\n".join(["1", "# be_id be_name srv_id srv_name", line.format(1, "a"), line.format(2, "b"), ""])
    assert wire.states_without(states, {("rw", "a"), ("ro", "b")}).splitlines() == [
        "1",
        "# be_id be_name srv_id srv_name",
        line.format(2, "b").replace("8008", "0"),
    ]


def test_a_server_whose_name_nobody_knows_is_told_from_one_that_is_closed() -> None:
    shown = wire.tables(table("rw,a,0,0,MAINT (resolution),", "rw,b,0,0,MAINT,10.0.0.1:5432"), ["rw"])["rw"].servers
    assert {name: (one.is_unresolved, wire.ip_and_port(one.address)) for name, one in shown.items()} == {
        "a": (True, None),
        "b": (False, (IPv4Address("10.0.0.1"), 5432)),
    }


def test_two_backends_in_one_answer_are_kept_apart() -> None:
    text = "\n" + table("rw,a,0,0,DRAIN,x:1") + table("ro,a,0,0,no check,x:1")
    assert {name: one.servers["a"].is_usable for name, one in wire.tables(text, ["rw", "ro"]).items()} == {"rw": False, "ro": True}


@pytest.mark.parametrize(
    ("status", "admin", "is_usable"),
    [
        ("UP", "ready", True),
        ("UP 1/2", "ready", True),
        ("no check", "ready", True),
        ("DOWN", "ready", False),
        ("DOWN 1/2", "ready", False),
        ("DOWN (agent)", "ready", False),
        ("NOLB", "ready", False),
        ("DRAIN", "drain", False),
        ("MAINT", "maint", False),
        ("MAINT (resolution)", "maint", False),
    ],
)
def test_each_status_says_what_was_told_and_whether_connections_come(status: str, admin: str, is_usable: bool) -> None:
    server = wire.Server(name="a", status=status, sessions=0, queue=0, address="")
    assert (server.admin, server.is_usable) == (admin, is_usable)


@pytest.mark.parametrize("token", [0, 1, 255, 256, 70000, 2**32 - 1])
@pytest.mark.parametrize("closed", [True, False])
def test_a_token_is_kept_in_an_address(token: int, closed: bool) -> None:
    words = wire.mark("rw", token, closed=closed).split()
    shown = wire.tables(table(f"rw,hacore-token,0,0,MAINT,{words[4]}:{words[6]}"), ["rw"])["rw"]
    assert (shown.token, shown.is_closed) == (token, closed)


def test_a_marker_that_says_nothing_is_none() -> None:
    assert wire.tables(table("rw,hacore-token,0,0,MAINT,", "rw,a,0,0,UP,x:1"), ["rw"])["rw"].token is None
    assert wire.tables(table("rw,a,0,0,UP,x:1"), ["rw"])["rw"].token is None


@pytest.mark.parametrize("text", ["# pxname,svname\nrw,a\n", table("rw,a,x,y,UP,"), "# pxname,\x00\nrw\n", "# pxname,svname,scur\nrw,a\n"])
def test_garbage_is_no_table(text: str) -> None:
    with pytest.raises(GarbageError):
        wire.tables(text, ["rw"])


def test_what_was_not_carried_out_is_found_before_the_table() -> None:
    said = "\nIP changed from '0.0.0.0' to '0.0.0.7' by 'stats socket command'\n\nno need to change the port\n\nPermission denied\n\n"
    assert wire.complaints(said + table("rw,a,0,0,UP,No such server")) == ("Permission denied",)
    assert wire.complaints("\n\n\n") == ()


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("/run/haproxy/admin.sock", "/run/haproxy/admin.sock"),
        ("10.0.0.1:9999", ("10.0.0.1", 9999)),
        ("[::1]:9999", ("::1", 9999)),
        ("proxy.example:1", ("proxy.example", 1)),
        ("run/admin.sock", None),
        ("proxy.example", None),
        (":9999", None),
        ("proxy.example:0", None),
        ("proxy.example:70000", None),
    ],
)
def test_places_are_paths_or_host_and_port(place: str, address: object) -> None:
    assert wire.address_of(place) == address


def test_a_member_s_name_becomes_one_that_haproxy_takes() -> None:
    assert wire.server_name("pg 1/äst;x") == "pg_1__st_x"
    assert wire.server_name("db-1.example_2:x") == "db-1.example_2:x"
