"""What the keeper of the lease does when the disk does not take what must be on it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hacore.act.keeper import LeaseKeeper
from hacore.act.remembered import Remembered
from hacore.errors import DataDirectoryError, DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Refused, ReleaseRequest, Renewed, RenewRequest, Snapshot, WriteRequest, Written
from hacore.model.clock import BootClock
from hacore.model.cluster import ClusterView, OwnRecord, Restore, RestoreState, Status
from hacore.model.lease import Lock
from hacore.model.memory import Memory
from hacore.model.node import DataDirectory, DirectoryState, FenceState, NodeState, Role, ServerState
from hacore.model.policy import Policy, Times
from hacore.model.recovery import RecoveryTarget
from hacore.model.steps import AcquireLease
from hacore.ports import Ports
from hacore.records.own import read_own
from hacore.testing.paper import PaperFence

TIMES = Times(ttl_s=30.0, loop_wait_s=10.0, retry_timeout_s=10.0)
POLICY = Policy(times=TIMES)
OWN = OwnRecord(store_id="s", token=5, instance=None, holder="a", heartbeat=1, ttl_s=30.0)
LOCK = Lock(holder="a", instance="i5")
CLOCK = BootClock()


@dataclass(slots=True)
class Disk:
    """Takes the next so many writings, then no more."""

    takes: int
    memory: Memory = field(default_factory=lambda: Memory(store_id="s", token=4))

    def load(self) -> Memory:
        return self.memory

    def store(self, memory: Memory) -> None:
        if self.takes <= 0:
            raise DataDirectoryError("no space")
        self.takes -= 1
        self.memory = memory


@dataclass(slots=True)
class Store:
    """Gives the lock to whoever asks, and writes down who gave it back; silent where it is said to be."""

    is_silent: bool = False
    answers: list[Acquired | Refused | DcsUnavailableError] = field(default_factory=list)  # to whoever asks, before the lock is given
    asked: int = 0
    released: list[ReleaseRequest] = field(default_factory=list)
    renewed: list[RenewRequest] = field(default_factory=list)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        del request, timeout_s
        self.asked += 1
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, DcsUnavailableError):
                raise answer
            return answer
        return Acquired(lock=LOCK, sent_at=CLOCK.now())

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed:
        del timeout_s
        self.renewed.append(request)
        sent_at = CLOCK.now()
        return Renewed(sent_at=sent_at, snapshot=Snapshot(sent_at=sent_at, revision=1, lock=LOCK, records={}, members={}))

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written:
        del request, timeout_s
        return Written(versions=())

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written:
        del timeout_s
        if self.is_silent:
            raise DcsUnavailableError("no answer")
        self.released.append(request)
        return Written(versions=())

    def clean_marks(self) -> list[str | None]:
        return [read_own(put.value or "").clean for request in self.released for put in request.puts if put.name == "hacore"]


def keeper_of(disk: Disk, store: Store, fence: PaperFence | None = None) -> LeaseKeeper:
    settings: Any = SimpleNamespace(me=lambda: SimpleNamespace(name="a"))
    nobody: Any = None
    dcs: Any = store
    ports = Ports(
        clock=CLOCK,
        dcs=dcs,
        postgres=nobody,
        worker=nobody,
        fence=fence or PaperFence(CLOCK),
        peers=nobody,
        disk=disk,
        settings=settings,
        boot_id="b",
    )
    keeper = LeaseKeeper(ports)
    keeper.saw(Snapshot(sent_at=0.0, revision=1, lock=None, records={}, members={}), view(OWN))
    return keeper


def view(own: OwnRecord) -> ClusterView:
    return ClusterView(sent_at=0.0, revision=1, own=own, status=Status())


def node(role: Role = Role.STANDBY, server: ServerState = ServerState.RUNNING) -> NodeState:
    directory = DataDirectory(state=DirectoryState.INITIALIZED)
    return NodeState(read_at=0.0, server=server, directory=directory, fence=FenceState(), role=role)


def acquire(keeper: LeaseKeeper, of: NodeState | None = None) -> bool:
    return keeper.acquire(AcquireLease(own=OWN, own_version=1), times=TIMES, policy=POLICY, node=of or node())


def test_a_lease_is_on_the_disk_before_it_is_held() -> None:
    disk, store, fence = Disk(takes=2), Store(), PaperFence(CLOCK)
    keeper = keeper_of(disk, store, fence)
    assert acquire(keeper)
    assert (disk.memory.held_token, disk.memory.held_instance) == (5, "i5")
    assert keeper.lease is not None
    assert fence.state().armed
    assert (keeper.attempted_token, keeper.remembered.fault) == (None, None)


def test_a_disk_that_takes_nothing_is_not_asked_for_a_lock() -> None:
    store = Store()
    keeper = keeper_of(Disk(takes=0), store)
    with pytest.raises(DataDirectoryError):
        acquire(keeper)
    assert (store.asked, keeper.lease, keeper.attempted_token) == (0, None, None)
    assert keeper.remembered.fault == "no space"


@pytest.mark.parametrize(
    ("of", "clean"),
    [
        (node(Role.STANDBY), "i5"),
        (node(Role.STANDBY, ServerState.STOPPED), "i5"),
        (node(Role.PRIMARY), None),  # the former holder, under what is left of its earlier lease
        (node(Role.STANDBY, ServerState.STARTING), None),
    ],
)
def test_a_lock_that_the_disk_does_not_take_is_given_back_and_marked_clean_where_nobody_can_write(of: NodeState, clean: str | None) -> None:
    store, fence = Store(), PaperFence(CLOCK)
    keeper = keeper_of(Disk(takes=1), store, fence)
    with pytest.raises(DataDirectoryError):
        acquire(keeper, of)
    assert [request.lock for request in store.released] == [LOCK]
    assert store.clean_marks() == [clean]
    assert (keeper.lease, keeper.attempted_token) == (None, None)
    assert not fence.state().armed


def test_a_lock_that_could_not_be_given_back_is_given_back_by_the_next_turn() -> None:
    store = Store(is_silent=True)
    keeper = keeper_of(Disk(takes=1), store)
    with pytest.raises(DcsUnavailableError):
        acquire(keeper)
    assert (keeper.lease, keeper.attempted_token) == (None, 5)
    store.is_silent = False
    with pytest.raises(DataDirectoryError):
        keeper.resume(LOCK, 5, times=TIMES, policy=POLICY, node=node())
    assert len(store.released) == 1
    assert (keeper.lease, keeper.attempted_token) == (None, None)


def test_an_agent_that_was_started_again_goes_on_with_a_lease_that_is_on_its_disk_though_that_takes_no_more() -> None:
    disk = Disk(takes=0, memory=Memory(store_id="s", token=5, held_token=5, held_instance="i5"))
    store = Store()
    keeper = keeper_of(disk, store)
    keeper.remembered.note(replace(keeper.remembered.memory, paused=True))
    assert keeper.resume(LOCK, 5, times=TIMES, policy=POLICY, node=node(Role.PRIMARY))
    assert keeper.lease is not None
    assert not store.released


def test_a_fault_of_the_disk_is_remembered_until_it_takes_what_is_noted_again() -> None:
    disk = Disk(takes=0)
    remembered = Remembered(disk, "b")
    with pytest.raises(DataDirectoryError):
        remembered.prove()
    remembered.note(remembered.memory)  # nothing new
    assert remembered.fault == "no space"
    disk.takes = 1
    remembered.note(remembered.memory)
    assert remembered.fault is None


@pytest.mark.parametrize(("state", "timeline"), [(RestoreState.RESTORING, 1), (RestoreState.DONE, 2), (None, 2)])
def test_the_timeline_of_a_restore_that_may_yet_fail_is_nobodys_record(state: RestoreState | None, timeline: int) -> None:
    restore = None
    if state is not None:
        at = datetime(2026, 5, 4, tzinfo=UTC)
        restore = Restore(id="r", member="a", state=state, backup="b", target=RecoveryTarget(), along=1, keep=True, asked_at=at)
    store = Store()
    keeper = keeper_of(Disk(takes=2), store)
    own = replace(OWN, timeline=1, restore=restore)
    assert keeper.acquire(AcquireLease(own=own, own_version=1), times=TIMES, policy=POLICY, node=node())
    keeper.renew(node=replace(node(Role.PRIMARY), timeline=2), times=TIMES, policy=POLICY)
    (text,) = [put.value for request in store.renewed for put in request.puts if put.name == "hacore"]
    assert read_own(text or "").timeline == timeline


def test_while_the_lease_is_held_the_record_as_it_was_last_written_says_whether_this_node_is_fenced() -> None:
    keeper = keeper_of(Disk(takes=2), Store())
    own = replace(OWN, unfenced="a")
    assert keeper.acquire(AcquireLease(own=own, own_version=1), times=TIMES, policy=POLICY, node=node())
    found = [keeper.noted_unfenced]
    for unfenced in (None, "b", "a"):
        assert keeper.write_own(replace(own, unfenced=unfenced), timeout_s=1.0)
        found.append(keeper.noted_unfenced)
    keeper.drop()
    assert [*found, keeper.noted_unfenced] == [True, False, False, True, False]


def test_a_refusal_leaves_an_earlier_attempt_standing_which_may_be_what_is_in_the_way() -> None:
    keeper = keeper_of(Disk(takes=9), Store(answers=[DcsUnavailableError("no answer"), Refused(holder="a")]))
    with pytest.raises(DcsUnavailableError):
        acquire(keeper)
    assert not acquire(keeper)
    assert keeper.attempted_token == 5


def test_a_refusal_of_the_only_attempt_leaves_none() -> None:
    keeper = keeper_of(Disk(takes=9), Store(answers=[Refused(holder="a")]))
    assert not acquire(keeper)
    assert keeper.attempted_token is None
