"""A world, a store and a loop for tests of commands: scripted, in one thread."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar, cast

from hacore.control.context import Context
from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Record, Refused, Snapshot, WriteRequest, Written
from hacore.model.cluster import ClusterView, Member
from hacore.model.commands import Command
from hacore.model.lease import Lock
from hacore.model.memory import Memory, Sightings
from hacore.model.node import DataDirectory, DirectoryState, NodeState, PeerState, Role, ServerState
from hacore.model.policy import Policy, Times
from hacore.model.world import Decision, Me, World
from hacore.records.cluster import read_cluster

T = TypeVar("T")

WALL = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
NODE = NodeState(
    read_at=100.0,
    server=ServerState.RUNNING,
    directory=DataDirectory(state=DirectoryState.INITIALIZED),
    role=Role.PRIMARY,
    server_version=150004,
    postmaster_start_time="2029-12-31 00:00:00.000000+00:00",
)
DECISION = Decision(table="leading", rule="keep_leading", reason="all is well")


def member(name: str, **more: object) -> str:
    """A member record, shortened."""
    fields = {"conn_url": f"postgres://{name}.example:5432/postgres", "api_url": f"http://{name}.example:8008/patroni"}
    fields |= {"state": "running", "role": "replica", "version": "4.1.5"}
    return json.dumps({**fields, **more})


@dataclass
class ScriptedDcs:
    """Records in memory. ``fails`` makes each call fail that is named in it; ``before_write`` is somebody else's write."""

    lock: Lock | None = field(default_factory=lambda: Lock(holder="a", instance="1"))
    records: dict[str, Record] = field(default_factory=dict)
    members: dict[str, Record] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    before_write: Callable[[], None] = lambda: None
    now: float = 100.0
    revision: int = 10

    def put(self, name: str, value: str) -> None:
        self.revision += 1
        self.records[name] = Record(value=value, version=self.revision, received_at=self.now)

    def join(self, name: str, **more: object) -> None:
        self.members[name] = Record(value=member(name, **more), version=1, received_at=self.now)

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        assert timeout_s > 0
        self._fail("snapshot")
        return Snapshot(sent_at=self.now, revision=self.revision, lock=self.lock, records=dict(self.records), members=dict(self.members))

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        assert timeout_s > 0
        self._fail("write")
        self.before_write()
        for put in request.puts:
            standing = self.records.get(put.name)
            if put.expected is not None and put.expected != (standing.version if standing else 0):
                return Refused()
        for put in request.puts:
            assert put.value is not None
            self.put(put.name, put.value)
        return Written(versions=(self.revision,))

    def value(self, name: str) -> str | None:
        return self.records[name].value if name in self.records else None

    def _fail(self, call: str) -> None:
        if call in self.fails:
            raise DcsUnavailableError("no answer")


@dataclass
class ScriptedClock:
    """Time that only the loop's waits move."""

    seconds: float = 100.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return WALL


@dataclass
class ScriptedPeers:
    """Members that answer as they are told, and who was asked."""

    answers: Mapping[str, PeerState] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ask(self, members: Sequence[Member], *, timeout_s: float) -> tuple[PeerState, ...]:
        assert timeout_s > 0
        self.asked += [one.name for one in members]
        return tuple(self.answers.get(one.name, PeerState(name=one.name, reachable=False)) for one in members)


@dataclass
class ScriptedLoop:
    """A loop whose turns are the steps of a script: each changes store or world."""

    dcs: ScriptedDcs
    clock: ScriptedClock
    world: World
    script: list[Callable[["ScriptedLoop"], None]] = field(default_factory=list)
    answers: dict[str, tuple[bool, str]] = field(default_factory=dict)
    answer_all: tuple[bool, str] | None = None
    submitted: list[Command] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    woken: int = 0
    has_turned: bool = True
    decision: Decision = DECISION

    def call(self, fn: Callable[[Dcs, World], T], timeout_s: float) -> T:
        assert timeout_s > 0
        return fn(cast("Dcs", self.dcs), self.world)

    def latest(self) -> tuple[World, Decision] | None:
        return (self.world, self.decision) if self.has_turned else None

    def wait_for(self, predicate: Callable[[World, Decision], T | None], timeout_s: float) -> T | None:
        found = predicate(self.world, self.decision)
        if found is not None:
            return found
        self.clock.seconds += timeout_s
        self.turn()
        return predicate(self.world, self.decision)

    def turn(self) -> None:
        if self.script:
            self.script.pop(0)(self)
        self.dcs.now = self.clock.seconds
        self.world = replace(self.world, cluster=self.view(), now=self.clock.seconds, commands=tuple(self.submitted))

    def view(self) -> ClusterView | None:
        return None if "snapshot" in self.dcs.fails else read_cluster(self.dcs.snapshot(timeout_s=1.0))

    def submit(self, command: Command) -> None:
        self.submitted.append(command)

    def result(self, command_id: str, timeout_s: float) -> tuple[bool, str] | None:
        assert timeout_s > 0
        return self.answers.get(command_id, self.answer_all)

    def cancel(self, command_id: str) -> bool:
        self.cancelled.append(command_id)
        before = len(self.submitted)
        self.submitted = [one for one in self.submitted if one.id != command_id]
        return len(self.submitted) < before

    def wake(self) -> None:
        self.woken += 1


def world(dcs: ScriptedDcs, *, name: str = "a", node: NodeState = NODE, policy: Policy | None = None) -> World:
    """The world of a member of a cluster."""
    return World(
        now=100.0,
        wall=WALL,
        me=Me(name=name, scope="demo", conn_url="postgres://a/postgres", api_url="http://a/patroni"),
        policy=policy or Policy(),
        times=Times(),
        cluster=read_cluster(dcs.snapshot(timeout_s=1.0)),
        node=node,
        memory=Memory(),
        sightings=Sightings(started_at=0.0),
    )


def scene(*, name: str = "a", node: NodeState = NODE, policy: Policy | None = None) -> tuple[Context, ScriptedLoop, ScriptedPeers]:
    """A cluster of a (the leader), b and c, all reachable."""
    dcs = ScriptedDcs()
    dcs.join("a", role="primary", timeline=1, xlog_location=5000)
    dcs.join("b", timeline=1, xlog_location=4990, receive_lsn=4990, replay_lsn=4980, replication_state="streaming")
    dcs.join("c", tags={"nofailover": True})
    dcs.put("config", '{"ttl":30,"postgresql":{"parameters":{"max_connections":100}},"loop_wait":10}')
    dcs.put("status", '{"optime":5000}')
    clock = ScriptedClock()
    loop = ScriptedLoop(dcs=dcs, clock=clock, world=world(dcs, name=name, node=node, policy=policy))
    peers = ScriptedPeers({one: PeerState(name=one, reachable=True, role=Role.STANDBY, nofailover=one == "c") for one in ("a", "b", "c")})
    ids = iter(range(1000))
    return Context(loop=loop, peers=peers, clock=clock, new_id=lambda: f"id{next(ids)}"), loop, peers
