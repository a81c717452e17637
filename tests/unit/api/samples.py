"""Pictures for tests of what is answered from them."""

from collections.abc import Mapping
from dataclasses import replace

from hacore.api import status
from hacore.api.health import Check
from hacore.config.address import HostPort
from hacore.config.settings import Credentials, RestApiSettings
from hacore.publish.picture import Picture
from hacore.publish.snapshot import Seen

NOW = 1000.0
OPTIME = 50_000_000

PRIMARY = Picture(
    name="a",
    scope="demo",
    state="running",
    role="primary",
    running=True,
    has_view=True,
    ttl_s=30.0,
    loop_wait_s=10.0,
    next_run=NOW + 8,
    dcs_last_seen=1_700_000_000,
    optime=OPTIME,
    timeline=3,
    server_version=150004,
    postmaster_start_time="2025-01-02 03:04:05.678901+00:00",
    system_id="7298374655123456789",
    location=OPTIME + 100,
)
STANDBY = replace(
    PRIMARY, role="replica", location=None, received=OPTIME, replayed=OPTIME - 10, replication_state="streaming", tags=(("zone", "x"),)
)


def seen(picture: Picture | None, *, age_s: float = 1.0, lease_s: float | None = None) -> Seen:
    """The shared memory: the picture of ``age_s`` ago, and, where this node leads, for how long it may."""
    fence_at = 0.0 if lease_s is None else NOW + lease_s
    return Seen(picture=picture, generation=2, written_at=NOW - age_s, lease_fence_at=fence_at)


def check(picture: Picture | None, query: Mapping[str, str] | None = None, *, age_s: float = 1.0, lease_s: float | None = None) -> Check:
    """What a health check rests on."""
    measured = status.of_picture(picture) if picture is not None else None
    return Check(seen=seen(picture, age_s=age_s, lease_s=lease_s), now=NOW, measured=measured, query=query or {})


def restapi(**changes: object) -> RestApiSettings:
    """A REST section with nothing special in it."""
    usual = RestApiSettings(
        listen=HostPort("127.0.0.1", 8008),
        connect_address=HostPort("127.0.0.1", 8008),
        authentication=None,
        certfile=None,
        keyfile=None,
        keyfile_password=None,
        cafile=None,
        ciphers=None,
        verify_client="none",
        allowlist=(),
        allowlist_include_members=False,
        http_extra_headers={},
        https_extra_headers={},
        request_queue_size=5,
        thread_pool_size=5,
        server_tokens="original",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the names are those of the section


ADMIN = Credentials(username="admin", password="secret:with:colons")
