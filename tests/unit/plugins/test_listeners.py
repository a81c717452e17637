"""Gates: the first veto counts, and one that does not answer follows its policy."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from hacore.errors import JobCancelledError
from hacore.hookspecs import AfterBootstrap, BeforeDemote, BeforePromote, BeforeStop, BeforeSwitchover, hookimpl
from hacore.interfaces import Gate, GatePolicy, Job, Veto
from hacore.model.policy import Policy, Times
from hacore.plugins.listeners import Listeners
from tests.unit.plugins.making import CONTEXT, event, plugin

PROMOTE = BeforePromote(context=CONTEXT, token=7, timeline=2)


class Keeper:
    """Answers at every gate as it was told."""

    def __init__(self, answer: object = None, policies: Sequence[GatePolicy] = ()) -> None:
        self.answer = answer
        self.policies = policies
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.job_ended = threading.Event()

    def _say(self, gate: str, job: Job) -> Veto | None:
        self.asked.append(gate)
        if self.answer == "hang":
            while not self.job_ended.is_set():
                try:
                    job.wait(0.01)
                except JobCancelledError:
                    self.job_ended.set()
        if self.answer == "raise":
            raise KeyError("x")
        return self.answer if isinstance(self.answer, Veto) else None

    @hookimpl
    def hacore_gate_policies(self) -> Sequence[GatePolicy]:
        return self.policies

    @hookimpl
    def hacore_before_stop(self, request: BeforeStop, job: Job) -> Veto | None:
        return self._say(f"stop {request.mode}", job)

    @hookimpl
    def hacore_before_promote(self, request: BeforePromote, job: Job) -> Veto | None:
        return self._say(f"promote {request.token}", job)

    @hookimpl
    def hacore_before_demote(self, request: BeforeDemote, job: Job) -> Veto | None:
        return self._say(f"demote {request.candidate}", job)

    @hookimpl
    def hacore_before_switchover(self, request: BeforeSwitchover, job: Job) -> Veto | None:
        return self._say(f"switchover {request.leader}", job)

    @hookimpl
    def hacore_after_bootstrap(self, request: AfterBootstrap, job: Job) -> Veto | None:
        return self._say(f"bootstrap {request.conninfo}", job)


def test_every_gate_is_asked_with_its_request() -> None:
    keeper = Keeper()
    listeners = Listeners([plugin(keeper)])
    listeners.before_stop(BeforeStop(context=CONTEXT, reason="x", mode="fast", role="primary"))
    answers = [
        listeners.before_promote(PROMOTE),
        listeners.before_demote(BeforeDemote(context=CONTEXT, token=7, candidate="b")),
        listeners.before_switchover(BeforeSwitchover(context=CONTEXT, token=7, leader="a", candidate=None, members=())),
        listeners.after_bootstrap(AfterBootstrap(context=CONTEXT, conninfo="host=x", passfile=None)),
    ]
    assert answers == [None] * 4
    assert keeper.asked == ["stop fast", "promote 7", "demote b", "switchover a", "bootstrap host=x"]


def test_the_first_veto_counts_and_ends_the_asking() -> None:
    first, second, third = Keeper(), Keeper(Veto(reason="not now")), Keeper()
    listeners = Listeners([plugin(first, "a"), plugin(second, "b"), plugin(third, "c")])
    assert listeners.before_promote(PROMOTE) == Veto(reason="b: not now")
    assert [len(one.asked) for one in (first, second, third)] == [1, 1, 0]


def test_no_veto_counts_against_a_stop() -> None:
    first, second = Keeper(Veto(reason="no")), Keeper()
    Listeners([plugin(first, "a"), plugin(second, "b")]).before_stop(BeforeStop(context=CONTEXT, reason="x", mode="fast", role="primary"))
    assert second.asked == ["stop fast"]


@pytest.mark.parametrize("answer", ["hang", "raise"])
@pytest.mark.parametrize("aborts", [False, True])
def test_a_gate_that_does_not_answer_follows_its_policy(answer: str, aborts: bool) -> None:
    keeper = Keeper(answer, [GatePolicy(gate=Gate.BEFORE_PROMOTE, limit_s=0.1, aborts=aborts)])
    veto = Listeners([plugin(keeper)]).before_promote(PROMOTE)
    assert (veto is not None) is aborts


def test_what_a_gate_still_runs_is_ended_when_its_time_is_over() -> None:
    keeper = Keeper("hang", [GatePolicy(gate=Gate.BEFORE_PROMOTE, limit_s=0.1)])
    assert Listeners([plugin(keeper)]).before_promote(PROMOTE) is None
    assert keeper.job_ended.wait(10)


@pytest.mark.parametrize(("ttl_s", "start_s"), [(0.1, 0.0), (0.0, 0.1)])
def test_a_gate_without_a_limit_of_its_own_has_as_long_as_a_primary_may_take_to_come(ttl_s: float, start_s: float) -> None:
    context = replace(CONTEXT, policy=Policy(times=replace(Times(), ttl_s=ttl_s), primary_start_timeout_s=start_s))
    policies = [GatePolicy(gate=gate, limit_s=None, aborts=True) for gate in (Gate.BEFORE_PROMOTE, Gate.BEFORE_STOP)]
    keeper = Keeper("hang", policies)
    assert Listeners([plugin(keeper)]).before_promote(replace(PROMOTE, context=context)) is not None
    assert keeper.job_ended.wait(10)
    Listeners([plugin(Keeper("hang", policies))]).before_stop(BeforeStop(context=context, reason="x", mode="fast", role="primary"))


def test_a_gate_without_a_limit_is_left_when_the_action_is_cancelled() -> None:
    keeper = Keeper("hang", [GatePolicy(gate=Gate.BEFORE_PROMOTE, limit_s=None, aborts=True)])
    with pytest.raises(JobCancelledError):
        Listeners([plugin(keeper)]).before_promote(PROMOTE, lambda: bool(keeper.asked))
    assert keeper.job_ended.wait(10)


def test_a_listener_without_gates_is_not_asked() -> None:
    class Deaf:
        @hookimpl
        def hacore_event(self, event: object) -> None:
            pass

    assert Listeners([plugin(Deaf())]).before_promote(PROMOTE) is None


def test_listeners_that_stay_keep_what_waits_for_them() -> None:
    heard: list[int] = []
    door = threading.Event()

    class Ears:
        @hookimpl
        def hacore_event(self, event: object) -> None:
            door.wait(10)
            heard.append(getattr(event, "id", 0))

    ears = plugin(Ears(), "ears")
    listeners = Listeners([ears])
    listeners.tell(event(1))
    listeners.tell(event(2))
    listeners.use([ears, plugin(Keeper(), "keeper")])
    door.set()
    listeners.close(10)
    assert heard == [1, 2]
