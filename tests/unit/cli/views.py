"""One reading of the store for tests of the command line."""

from dataclasses import replace

from hacore.model.cluster import ClusterView, Member, Status
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.policy import Tags

MB = 1 << 20
OPTIME = Lsn(100 * MB)


def member(name: str, **fields: object) -> Member:
    plain = Member(
        name=name,
        conn_url=f"postgres://{name}.example:5432/postgres",
        api_url=f"http://{name}.example:8008/patroni",
        state="running",
        hacore_version="0.1.0",
        timeline=1,
        lsn=OPTIME,
        receive_lsn=OPTIME,
        replay_lsn=OPTIME,
        replication_state="streaming",
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def leader(name: str, **fields: object) -> Member:
    return member(name, role="primary", replication_state=None, receive_lsn=None, replay_lsn=None, **fields)


def view(*members: Member, holder: str | None = "a", **fields: object) -> ClusterView:
    plain = ClusterView(
        sent_at=100.0,
        lock=None if holder is None else Lock(holder=holder, instance="1"),
        initialize="7298374655123456789",
        config='{"ttl":30,"loop_wait":10}',
        config_version=3,
        members=members or (leader("a"), member("b"), member("c")),
        status=Status(optime=OPTIME),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def tags(**published: object) -> Tags:
    known = {name: value for name, value in published.items() if name in Tags.__dataclass_fields__}
    return Tags(**known, published=tuple(published.items()))  # type: ignore[arg-type]
