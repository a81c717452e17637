"""The simulated store, network, guard and server do what their originals do, and know no rule."""

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Put, Refused, RenewRequest, WriteRequest
from hacore.model.node import DirectoryState, Role, ServerState, Upstream
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Engine, Gate
from hacore.testing.simulation.guard import Guard
from hacore.testing.simulation.network import STORE, Network
from hacore.testing.simulation.server import Server
from hacore.testing.simulation.session import Endpoint, Leases, Session
from hacore.testing.simulation.store import Store
from hacore.testing.simulation.wal import Directory, RecordKind
from hacore.testing.simulation.wire import SessionFaults


class Stage:
    """Two machines, a store and a network."""

    def __init__(self) -> None:
        self.engine = Engine("parts")
        self.network = Network(self.engine)
        self.store = Store(self.engine)
        self.a, self.b = self.server("a"), self.server("b")
        for one in (self.a, self.b):
            one.find = {"a": self.a, "b": self.b}.get

    def server(self, name: str) -> Server:
        server = Server(self.engine, self.network, name, Gate())
        server.directory = Directory(state=DirectoryState.INITIALIZED, log=Directory.empty().log, system_id="1")
        return server

    def session(self, name: str, faults: SessionFaults | None = None) -> Session:
        endpoint = Endpoint(member=name, clock=NodeClock(self.engine), faults=faults or SessionFaults(), leases=Leases())
        return Session(self.engine, self.network, self.store, endpoint)

    def run(self, seconds: float) -> None:
        self.engine.run_until(self.engine.now + seconds)

    def pair(self) -> None:
        """A primary with a standby that streams from it."""
        self.a.start(Role.PRIMARY, None)
        self.run(1)
        self.b.directory = self.a.directory.copy_of()
        self.b.start(Role.STANDBY, Upstream(member="a"))
        self.run(2)
        assert self.b.source is self.a


def state(server: Server) -> ServerState:
    return server.state


def source(server: Server) -> Server | None:
    return server.source


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_lock_is_refused_while_it_stands_and_free_when_its_time_is_over(stage: Stage) -> None:
    first = stage.store.acquire("a", AcquireRequest(ttl_s=5))
    assert first is not None
    assert stage.store.acquire("b", AcquireRequest(ttl_s=5)) is None
    stage.run(5.1)
    second = stage.store.acquire("b", AcquireRequest(ttl_s=5))
    assert second is not None
    assert second.instance != first.instance


def test_a_record_that_has_changed_refuses_a_write_that_compares_it(stage: Stage) -> None:
    versions = stage.store.write("a", WriteRequest(puts=(Put(name="x", value="1", expected=0),)))
    assert versions
    assert stage.store.write("b", WriteRequest(puts=(Put(name="x", value="2", expected=0),))) is None
    assert stage.store.write("b", WriteRequest(puts=(Put(name="x", value="2", expected=versions[0]),)))


def test_a_request_whose_answer_is_lost_has_taken_effect_and_its_caller_does_not_know(stage: Stage) -> None:
    session, seen = stage.session("a"), []
    stage.network.cut(STORE, "a")

    def ask() -> None:
        try:
            session.acquire(AcquireRequest(ttl_s=5), timeout_s=1)
        except DcsUnavailableError:
            seen.append(stage.engine.now)

    stage.engine.spawn(ask)
    stage.run(2)
    assert seen == [pytest.approx(1)]
    assert stage.store.lock is not None


def test_what_a_session_was_told_of_its_lock_counts_from_when_it_asked(stage: Stage) -> None:
    leases = Leases()
    endpoint = Endpoint(member="a", clock=NodeClock(stage.engine), faults=SessionFaults(), leases=leases)
    session = Session(stage.engine, stage.network, stage.store, endpoint)
    answers: list[object] = []

    def hold() -> None:
        taken = session.acquire(AcquireRequest(ttl_s=5), timeout_s=1)
        assert isinstance(taken, Acquired)
        stage.engine.sleep(2)
        answers.append(session.renew(RenewRequest(lock=taken.lock, ttl_s=5), timeout_s=1))
        stage.store.lose_lock()
        answers.append(session.renew(RenewRequest(lock=taken.lock, ttl_s=5), timeout_s=1))

    stage.engine.spawn(hold)
    stage.run(5)
    assert isinstance(answers[1], Refused)
    assert leases.newest is not None
    assert leases.newest.sent_at == pytest.approx(2, abs=0.02)


def test_backends_outlive_their_postmaster_and_go_on_to_commit(stage: Stage) -> None:
    stage.a.start(Role.PRIMARY, None)
    stage.run(1)
    stage.a.lose_postmaster()
    assert state(stage.a) is ServerState.ORPHANED
    assert stage.a.commit(1, 100) is not None
    stage.run(8)
    assert state(stage.a) is ServerState.STOPPED
    assert stage.a.commit(2, 100) is None


def test_a_guard_sweeps_up_after_a_postmaster_that_died(stage: Stage) -> None:
    Guard(stage.engine, NodeClock(stage.engine), stage.a)
    stage.a.start(Role.PRIMARY, None)
    stage.run(1)
    stage.a.lose_postmaster()
    stage.run(0.02)
    assert stage.a.state is ServerState.STOPPED


@pytest.mark.parametrize("is_stopped", [False, True])
def test_writes_have_ended_by_f_also_where_the_guard_is_stopped(stage: Stage, is_stopped: bool) -> None:
    guard = Guard(stage.engine, NodeClock(stage.engine), stage.a)
    stage.a.start(Role.PRIMARY, None)
    stage.run(1)
    assert guard.deadline.arm(1, 3.0, 1.0) is None
    if is_stopped:
        guard.stop()
    stage.engine.run_until(2.99)
    assert stage.a.commit(1, 100) is not None
    stage.engine.run_until(4.0)
    assert stage.a.commit(2, 100) is None


def test_a_standby_receives_what_is_written_and_follows_through_a_promotion_upstream(stage: Stage) -> None:
    stage.pair()
    stage.a.commit(1, 100)
    stage.run(0.1)
    assert stage.b.log.end == stage.a.log.end
    assert stage.b.log.is_prefix_of(stage.a.log)


def test_a_standby_that_is_ahead_on_the_same_timeline_is_not_let_in_until_it_no_longer_is(stage: Stage) -> None:
    stage.pair()
    stage.b.quit()
    stage.run(1)
    stage.b.log.append(RecordKind.COMMIT, 10_000, stage.engine.now, 7)
    stage.b.start(Role.STANDBY, Upstream(member="a"))
    stage.run(3)
    assert source(stage.b) is None
    stage.a.commit(1, 20_000)
    stage.run(2)
    assert source(stage.b) is stage.a, "as a real server, it sees positions and not bytes"
    assert not stage.b.log.is_prefix_of(stage.a.log)


def test_a_primary_that_stops_in_order_leaves_its_shutdown_checkpoint_with_its_standby(stage: Stage) -> None:
    stage.pair()
    stage.a.stop()
    stage.run(1)
    assert stage.a.state is ServerState.STOPPED
    assert stage.a.directory.control_state == "shut down"
    assert stage.b.log.end == stage.a.log.end


def test_a_promotion_skips_claimed_numbers(stage: Stage) -> None:
    stage.pair()
    stage.b.promote((2, 3))
    stage.run(1)
    assert (stage.b.role, stage.b.log.timeline) == (Role.PRIMARY, 4)
    assert [switch.timeline for switch in stage.b.log.history.switches] == [1]


def test_two_logs_share_what_was_written_before_they_parted(stage: Stage) -> None:
    stage.pair()
    stage.b.promote(())
    stage.run(1)
    shared = len(stage.a.log.records)
    stage.a.commit(1, 100)
    assert stage.a.log.common(stage.b.log) == shared
    assert not stage.a.log.is_prefix_of(stage.b.log)
