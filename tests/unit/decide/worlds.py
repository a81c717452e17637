"""Worlds to decide on: each builder has the defaults of a healthy node, a test says only what differs."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hacore.model.cluster import ClusterView, FailoverRequest, HistoryLine, Member, OwnRecord, Status
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory, Sightings
from hacore.model.node import (
    ControlData,
    DataDirectory,
    DirectoryState,
    FenceState,
    NodeState,
    PeerState,
    Role,
    ServerState,
    SlotState,
    Upstream,
)
from hacore.model.policy import Policy, Tags, Times
from hacore.model.world import Me, World

NOW = 1000.0
WALL = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SYSTEM_ID = "7310000000000000001"
POSITION = Lsn(50_000_000)
TIMES = Times(ttl_s=30.0, loop_wait_s=10.0, retry_timeout_s=10.0)


def control(state: str = "shut down", timeline: int = 1, **fields: Any) -> ControlData:
    """What pg_controldata says."""
    return ControlData(
        system_id=SYSTEM_ID, state=state, timeline=timeline, checkpoint_lsn=POSITION, redo_lsn=POSITION, data_checksums=True, **fields
    )


def directory(state: DirectoryState = DirectoryState.INITIALIZED, **fields: Any) -> DataDirectory:
    """A data directory that is whole."""
    values: dict[str, Any] = {"control": control("in production")} if state is DirectoryState.INITIALIZED else {}
    return DataDirectory(state=state, **{**values, **fields})


def primary(**fields: Any) -> NodeState:
    """A running primary, its guard armed for token 1."""
    values: dict[str, Any] = {
        "read_at": NOW,
        "server": ServerState.RUNNING,
        "directory": directory(),
        "fence": FenceState(armed=True, token=1),
        "role": Role.PRIMARY,
        "pid": 100,
        "system_id": SYSTEM_ID,
        "timeline": 1,
        "flushed_lsn": POSITION,
        "slots": (SlotState(name="b", is_physical=True, active=True), SlotState(name="c", is_physical=True, active=True)),
    }
    return NodeState(**{**values, **fields})


def standby(**fields: Any) -> NodeState:
    """A standby that streams from b."""
    values: dict[str, Any] = {
        "read_at": NOW,
        "server": ServerState.RUNNING,
        "directory": directory(control=control("in archive recovery"), has_standby_signal=True),
        "fence": FenceState(),
        "role": Role.STANDBY,
        "pid": 100,
        "system_id": SYSTEM_ID,
        "timeline": 1,
        "received_lsn": POSITION,
        "replayed_lsn": POSITION,
        "replication_state": "streaming",
        "upstream": Upstream(member="b", host="10.0.0.2", port=5432, slot="a"),
        "slots": (SlotState(name="b", is_physical=True, active=False), SlotState(name="c", is_physical=True, active=False)),
    }
    return NodeState(**{**values, **fields})


def stopped(state: str = "shut down", **fields: Any) -> NodeState:
    """A server that is down; ``state`` is that of the control file."""
    values: dict[str, Any] = {
        "read_at": NOW,
        "server": ServerState.STOPPED,
        "directory": directory(control=control(state), wal_end=POSITION, wal_end_timeline=1),
        "fence": FenceState(coverage="none"),
    }
    return NodeState(**{**values, **fields})


def bare(**fields: Any) -> NodeState:
    """A node without data."""
    return stopped(directory=directory(DirectoryState.EMPTY), **fields)


def member(name: str, **fields: Any) -> Member:
    """A healthy member: a replica unless told otherwise."""
    number = ord(name[0]) - ord("a") + 1
    values: dict[str, Any] = {
        "conn_url": f"postgres://10.0.0.{number}:5432/postgres",
        "api_url": f"http://10.0.0.{number}:8008/patroni",
        "state": "running",
        "hacore_version": "0.1.0",
        "timeline": 1,
        "lsn": POSITION,
    }
    return Member(name=name, **{**values, **fields})


def own(**fields: Any) -> OwnRecord:
    """hacore's own record while b leads under token 1."""
    values: dict[str, Any] = {
        "store_id": "s1",
        "token": 1,
        "instance": "7",
        "holder": "b",
        "heartbeat": 10,
        "ttl_s": 30.0,
        "claims": ((1, 1),),
        "timeline": 1,
        "known_members": ("a", "b", "c"),
    }
    return OwnRecord(**{**values, **fields})


def cluster(holder: str | None = "b", **fields: Any) -> ClusterView:
    """Three members; ``holder`` has the lock."""
    leader = holder or "b"
    values: dict[str, Any] = {
        "sent_at": NOW,
        "lock": None if holder is None else Lock(holder=holder, instance="7"),
        "initialize": SYSTEM_ID,
        "initialize_version": 3,
        "config": "{}",
        "config_version": 4,
        "members": tuple(member(name, role="primary" if name == leader else "replica") for name in "abc"),
        "status": Status(optime=POSITION),
        "history": (),
        "own": own(holder=leader),
        "own_version": 5,
    }
    return ClusterView(**{**values, **fields})


def request(**fields: Any) -> FailoverRequest:
    """A person's wish."""
    return FailoverRequest(version=9, **fields)


def lease(**fields: Any) -> Lease:
    """A lease that was renewed just now."""
    values: dict[str, Any] = {
        "lock": Lock(holder="a", instance="7"),
        "token": 1,
        "sent_at": NOW,
        "ttl_s": 30.0,
        "margin_s": 3.0,
        "budget_s": 2.0,
    }
    return Lease(**{**values, **fields})


def sightings(**fields: Any) -> Sightings:
    """An agent that has seen the cluster for long."""
    values: dict[str, Any] = {
        "started_at": 0.0,
        "own_version": 5,
        "own_version_since": NOW - 100,
        "lock_instance": "7",
        "lock_holder": "b",
        "leaderless_since": NOW - 100,
        "checkpointed_timeline": 1,
        "members_seen": (("a", NOW), ("b", NOW), ("c", NOW)),
    }
    return Sightings(**{**values, **fields})


def memory(**fields: Any) -> Memory:
    """What a member that never led remembers."""
    values: dict[str, Any] = {"store_id": "s1", "token": 1, "timeline": 1, "system_id": SYSTEM_ID, "members": ("a", "b", "c")}
    return Memory(**{**values, **fields})


def peer(name: str, **fields: Any) -> PeerState:
    """A standby that answered."""
    values: dict[str, Any] = {
        "reachable": True,
        "role": Role.STANDBY,
        "state": "running",
        "timeline": 1,
        "lsn": POSITION,
        "is_hacore": True,
    }
    return PeerState(name=name, **{**values, **fields})


def job(kind: JobKind, **fields: Any) -> JobState:
    """Work in flight."""
    return JobState(kind=kind, started_at=NOW - 1, **fields)


def outcome(kind: JobKind, *, ago_s: float = 1.0, **fields: Any) -> Outcome:
    """How work ended."""
    failures = 1 if fields.get("error") else 0
    return Outcome(**{"kind": kind, "ended_at": NOW - ago_s, "took_s": 0.1, "failures": failures, **fields})


def world(**fields: Any) -> World:
    """A healthy standby called a that follows b."""
    values: dict[str, Any] = {
        "now": NOW,
        "wall": WALL,
        "me": Me(name="a", scope="demo", conn_url="postgres://10.0.0.1:5432/postgres", api_url="http://10.0.0.1:8008/patroni", tags=Tags()),
        "policy": Policy(times=TIMES, use_pg_rewind=True),
        "times": TIMES,
        "cluster": cluster(),
        "node": standby(),
        "memory": memory(),
        "sightings": sightings(),
    }
    return World(**{**values, **fields})


def leading(**fields: Any) -> World:
    """A healthy leader called a."""
    values: dict[str, Any] = {
        "cluster": cluster("a"),
        "node": primary(),
        "lease": lease(),
        "memory": memory(held_token=1, held_instance="7"),
        "sightings": sightings(healthy_since=NOW - 50, lock_holder="a"),
    }
    return world(**{**values, **fields})


def leaderless(**fields: Any) -> World:
    """A healthy standby called a in a cluster whose leader b has gone for good; both peers were asked."""
    values: dict[str, Any] = {
        "cluster": cluster(None),
        "peers": (PeerState(name="b", reachable=False), peer("c")),
        "peers_asked": True,
    }
    return world(**{**values, **fields})


def lines(*ends: tuple[int, int]) -> tuple[HistoryLine, ...]:
    """``/history``: timelines and where they ended."""
    return tuple(HistoryLine(timeline=timeline, lsn=Lsn(lsn)) for timeline, lsn in ends)


def paused(base: World) -> World:
    """The same in maintenance."""
    return replace(base, policy=replace(base.policy, pause=True))
