import base64

import pytest

from hacore.api.access import Access
from hacore.api.request import Peer
from hacore.config.settings import RestApiSettings
from tests.unit.api.samples import ADMIN, restapi

MEMBERS = ("10.0.0.7", "2001:db8::7")


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def outcome(
    settings: RestApiSettings,
    host: str = "10.0.0.1",
    auth: str | None = None,
    *,
    tls: bool = False,
    cert: bool = False,
    member: bool = False,
) -> tuple[int, str] | None:
    peer = Peer(host=host, port=1, is_tls=tls, has_certificate=cert)
    denied = Access(settings, lambda: MEMBERS).denied(peer, auth, from_member=member)
    return None if denied is None else (denied.status, denied.text)


@pytest.mark.parametrize(
    ("allowlist", "host", "allowed"),
    [
        ((), "10.0.0.1", True),
        (("10.0.0.1",), "10.0.0.1", True),
        (("10.0.0.0/24",), "10.0.0.1", True),
        (("10.0.0.1/24",), "10.0.0.9", True),
        (("10.0.1.0/24",), "10.0.0.1", False),
        (("::1",), "10.0.0.1", False),
        (("::1",), "::1", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("fe80::/64",), "fe80::1%eth0", True),
        (("localhost",), "127.0.0.1", True),
        (("no-such-host.invalid",), "127.0.0.1", False),
    ],
)
def test_only_listed_clients_may_change_anything(allowlist: tuple[str, ...], host: str, allowed: bool) -> None:
    assert outcome(restapi(allowlist=allowlist), host) == (None if allowed else (403, "Access is denied"))


def test_members_may_be_listed_by_being_members() -> None:
    settings = restapi(allowlist_include_members=True)
    assert outcome(settings, "10.0.0.7") is None
    assert outcome(settings, "2001:db8::7") is None
    assert outcome(settings, "10.0.0.8") == (403, "Access is denied")
    assert outcome(restapi(allowlist_include_members=True, allowlist=("10.0.0.8",)), "10.0.0.8") is None


def test_a_request_between_members_is_not_bound_by_the_list_of_members() -> None:
    assert outcome(restapi(allowlist_include_members=True), "10.0.0.8", member=True) is None
    assert outcome(restapi(allowlist=("10.0.0.1",)), "10.0.0.8", member=True) == (403, "Access is denied")


@pytest.mark.parametrize("verify", ["none", "optional", "required"])
def test_a_client_certificate_is_wanted_where_the_setting_says_so(verify: str) -> None:
    settings = restapi(verify_client=verify, certfile="c", cafile="ca")
    assert outcome(settings, tls=True) == (None if verify == "none" else (403, "client certificate required"))
    assert outcome(settings, tls=True, cert=True) is None
    assert outcome(settings, tls=False) is None


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, (401, "no auth header received")),
        ("", (401, "no auth header received")),
        ("Bearer x", (401, "not authenticated")),
        ("Basic", (401, "not authenticated")),
        ("Basic !!!", (401, "not authenticated")),
        ("Basic \xff", (401, "not authenticated")),
        (basic("admin:wrong"), (401, "not authenticated")),
        (basic("admin:secret"), (401, "not authenticated")),
        (basic("admin:secret:with:colons"), None),
        (basic("admin:secret:with:colons").replace("Basic", "basic"), None),
    ],
)
def test_user_and_password_must_be_right(auth: str | None, expected: tuple[int, str] | None) -> None:
    assert outcome(restapi(authentication=ADMIN), auth=auth) == expected


def test_the_allowlist_comes_before_the_certificate_and_that_before_the_password() -> None:
    settings = restapi(authentication=ADMIN, verify_client="optional", certfile="c", cafile="ca", allowlist=("10.0.0.1",))
    assert outcome(settings, "10.0.0.2", tls=True) == (403, "Access is denied")
    assert outcome(settings, "10.0.0.1", tls=True) == (403, "client certificate required")
    assert outcome(settings, "10.0.0.1", tls=True, cert=True) == (401, "no auth header received")


def test_a_refused_password_is_asked_for() -> None:
    denied = Access(restapi(authentication=ADMIN), tuple).denied(Peer(host="10.0.0.1", port=1), None)
    assert denied is not None
    assert denied.challenge == 'Basic realm="Patroni"'
