import pytest

from hacore.config.address import HostPort, parse_host_port, parse_listen


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.1:5432", HostPort("10.0.0.1", 5432)),
        ("db.example.org:1", HostPort("db.example.org", 1)),
        ("[::1]:8008", HostPort("::1", 8008)),
        ("*:8008", HostPort("*", 8008)),
        (":8008", HostPort("", 8008)),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, wanted: HostPort) -> None:
    assert parse_host_port(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:x", "host:0", "host:65536", "host:²", "[::1", "[::1]x:1", "http://a:1", "a b:1", "::1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("text", "hosts", "port"),
    [
        ("127.0.0.1:6432", ("127.0.0.1",), 6432),
        ("127.0.0.1,10.0.0.1:6432", ("127.0.0.1", "10.0.0.1"), 6432),
        ("*:6432", ("*",), 6432),
        (":6432", ("*",), 6432),
        ("10.0.0.1", ("10.0.0.1",), 5432),
        ("::1,127.0.0.1:6432", ("::1", "127.0.0.1"), 6432),
        ("[::1]:6432", ("::1",), 6432),
        ("::1:6432", ("::1",), 6432),
        ("fd00::1", ("fd00::1",), 5432),
        ("1:2:3:4:5:6:7:8432", ("1:2:3:4:5:6:7:8432",), 5432),
    ],
)
def test_a_server_may_listen_on_several_hosts_with_one_port(text: str, hosts: tuple[str, ...], port: int) -> None:
    assert parse_listen(text, default_port=5432) == (hosts, port)


@pytest.mark.parametrize("text", ["a:1,b:2", ",b:1", "a:x"])
def test_several_ports_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_listen(text, default_port=5432)


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert (str(HostPort("::1", 1)), str(HostPort("a", 1))) == ("[::1]:1", "a:1")


@pytest.mark.parametrize(("host", "wanted"), [("*", True), ("", True), ("0.0.0.0", True), ("::", True), ("10.0.0.1", False)])
def test_an_address_to_listen_on_is_none_to_connect_to(host: str, wanted: bool) -> None:
    assert HostPort(host, 1).is_wildcard() is wanted
