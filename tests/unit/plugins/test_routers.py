"""Routers are told the newest state, one that hangs or fails holds up no other, and what leads here is taken back first."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hacore.errors import JobCancelledError, PluginError, PluginUnavailableError
from hacore.hookspecs import Drain, Probe, Revoke, Route, hookimpl
from hacore.interfaces import Applied, Degraded, Endpoint, Held, Hold, Job, Layer, Observed, RouterTraits, RoutingState
from hacore.model.clock import BootClock
from hacore.model.steps import DrainTraffic
from hacore.plugins import router_thread, router_timetable
from hacore.plugins.registry import Plugin
from hacore.plugins.routers import Routers, traits_of
from hacore.postgres.job import JobHandle
from tests.unit.plugins.conftest import Install
from tests.unit.plugins.making import CONTEXT, plugin, wait_until

CLOCK = BootClock()
A = Endpoint(member="a", host="10.0.0.1", port=5432)
B = Endpoint(member="b", host="10.0.0.2", port=5432)
TRAITS = RouterTraits(layer=Layer.PROXY)


def state(revision: int, **fields: object) -> RoutingState:
    return RoutingState(**{"token": 1, "revision": revision, "me": A, "leader": B, "members": (A, B), **fields})  # type: ignore[arg-type]


def route(revision: int, **fields: object) -> Route:
    return Route(context=CONTEXT, state=state(revision, **fields))


def leading(revision: int, **fields: object) -> Route:
    return route(revision, **{"leader": A, "leads": True, "valid_until": CLOCK.now() + 60, **fields})


REVOKE = Revoke(context=CONTEXT, token=1)


class Outside:
    """Notes what it is told, one call at a time where ``steps`` is set; answers what it is to answer."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.revisions: list[int] = []
        self.answer: Callable[[], object] = Applied
        self.inside = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.steps = False
        self.threads: set[int] = set()

    def note(self, what: str) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(what)
        if self.steps:
            self.inside.release()
            assert self.gate.acquire(timeout=10)

    @hookimpl
    def hacore_route(self, request: Route) -> object:
        self.revisions.append(request.state.revision)
        self.note(f"route {request.state.revision}")
        return self.answer()

    @hookimpl
    def hacore_revoke(self, request: Revoke) -> object:
        self.note(f"revoke {request.token}")
        return Applied()

    def enters(self) -> None:
        assert self.inside.acquire(timeout=10)

    def leaves(self) -> None:
        self.gate.release()


class Looking(Outside):
    def __init__(self) -> None:
        super().__init__()
        self.shows: object = "b"

    @hookimpl
    def hacore_route_probe(self, request: Probe) -> Observed:
        return Observed(target=self.shows)  # type: ignore[arg-type]


@pytest.fixture
def routers() -> Iterator[Routers]:
    made = Routers(CLOCK)
    yield made
    made.close(5.0)


def use(routers: Routers, *plugins: Plugin) -> None:
    routers.use(plugins, {one.name: TRAITS for one in plugins})


def router(instance: object, name: str = "r") -> Plugin:
    return plugin(instance, name, "router")


def quick(monkeypatch: pytest.MonkeyPatch, **seconds: float | tuple[float, ...]) -> None:
    for name, value in seconds.items():
        for module in (router_thread, router_timetable):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def test_a_state_is_applied_on_a_thread_of_the_plugin(routers: Routers) -> None:
    outside = Outside()
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: routers.status()[0].applied_at is not None)
    assert outside.told == ["route 1"]
    assert threading.get_ident() not in outside.threads
    (status,) = routers.status()
    assert (status.name, status.layer, status.problem, status.target, status.is_on_target) == ("r", "proxy", None, None, None)


def test_the_newest_state_wins_and_those_before_it_are_skipped(routers: Routers) -> None:
    outside = Outside()
    outside.steps = True
    use(routers, router(outside))
    routers.tell(route(1))
    outside.enters()
    for revision in (2, 3, 4):
        routers.tell(route(revision, token=revision))
    outside.leaves()
    outside.enters()
    outside.leaves()
    assert outside.revisions == [1, 4]


def test_a_lease_that_ends_is_taken_back_before_what_waits_and_nothing_leads_here_after_it(routers: Routers) -> None:
    outside = Outside()
    outside.steps = True
    use(routers, router(outside))
    routers.tell(leading(1))
    outside.enters()
    routers.tell(leading(2))
    routers.revoke(REVOKE, route(3, leader=None))
    for _ in range(2):
        outside.leaves()
        outside.enters()
    outside.leaves()
    assert outside.told == ["route 1", "revoke 1", "route 3"]


def test_one_that_hangs_holds_up_no_other_and_is_said(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, _ROUTE_LIMIT_S=0.05)
    stuck, sound = Outside(), Outside()
    stuck.steps = True
    use(routers, router(stuck, "stuck"), router(sound, "sound"))
    routers.tell(route(1))
    stuck.enters()
    routers.tell(route(2, token=2))
    wait_until(lambda: sound.revisions in ([2], [1, 2]))
    wait_until(lambda: routers.status()[0].problem is not None)
    assert "no answer" in str(routers.status()[0].problem) or "has not come back" in str(routers.status()[0].problem)
    stuck.steps = False
    stuck.leaves()
    wait_until(lambda: routers.status()[0].problem is None)  # tried again by itself
    assert stuck.revisions[-1] == 2


def raises(error: Exception) -> Callable[..., object]:
    def run(*_arguments: object) -> object:
        raise error

    return run


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: Degraded(reason="half of it"), id="degraded"),
        pytest.param(raises(PluginUnavailableError("gone")), id="unavailable"),
        pytest.param(raises(ZeroDivisionError()), id="fault"),
        pytest.param(lambda: 5, id="nonsense"),
    ],
)
def test_what_did_not_work_is_told_to_people_and_tried_again(
    routers: Routers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Callable[[], object]
) -> None:
    quick(monkeypatch, RETRIES_S=(0.01,))
    outside = Outside()
    outside.answer = answer
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: len(outside.told) >= 3)
    assert routers.status()[0].problem is not None
    assert routers.status()[0].applied_at is None
    said = [record for record in caplog.records if record.name.endswith("router_thread")]
    assert len(said) == 1  # once for a change, not for each attempt
    outside.answer = Applied
    wait_until(lambda: routers.status()[0].problem is None)
    assert routers.status()[0].applied_at is not None


def test_the_state_is_told_again_after_a_while(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, RECONCILE_S=0.02)
    outside = Outside()
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: outside.revisions[:3] == [1, 1, 1])


def test_a_state_whose_lease_is_over_is_not_put_up_again(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, RECONCILE_S=0.02)
    outside, other = Outside(), Outside()
    use(routers, router(outside))
    routers.tell(leading(1, valid_until=CLOCK.now() - 1))
    wait_until(lambda: outside.revisions)
    again = Routers(CLOCK)
    use(again, router(other))
    again.tell(route(1))
    wait_until(lambda: len(other.revisions) > 5)  # as long as that the first is silent
    again.close(5.0)
    assert outside.revisions == [1]


def test_only_the_lag_changing_is_told_less_often(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, LAG_S=0.05)
    outside = Outside()
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: outside.revisions == [1])
    for revision in range(2, 50):
        routers.tell(route(revision, members=(A, replace(B, lag_bytes=revision))))
    wait_until(lambda: outside.revisions[-1] == 49)
    assert len(outside.revisions) < 10


def test_a_renewal_is_told_at_once(routers: Routers) -> None:
    outside = Outside()
    use(routers, router(outside))
    for revision in (1, 2, 3):
        routers.tell(leading(revision, valid_until=CLOCK.now() + 60 + revision))
        wait_until(lambda: outside.revisions and outside.revisions[-1] == revision)  # noqa: B023 - called at once


@pytest.mark.parametrize(
    ("shows", "is_on_target"), [("b", True), ("10.0.0.2:5432", True), ("a", False), (None, False)]
)  # fmt: skip
def test_what_the_outside_shows_is_compared_with_the_leader(
    routers: Routers, monkeypatch: pytest.MonkeyPatch, shows: str | None, is_on_target: bool
) -> None:
    quick(monkeypatch, PROBE_S=0.02)
    outside = Looking()
    outside.shows = shows
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: routers.status()[0].is_on_target is not None)
    assert (routers.status()[0].target, routers.status()[0].is_on_target) == (shows, is_on_target)
    outside.shows = None
    routers.tell(route(2, leader=None))
    wait_until(lambda: routers.status()[0].target is None and routers.status()[0].is_on_target is True)


def test_a_look_that_tells_nonsense_is_as_good_as_none_and_the_router_is_told_on(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, PROBE_S=0.02)
    outside = Looking()
    use(routers, router(outside))
    routers.tell(route(1))
    wait_until(lambda: routers.status()[0].is_on_target is True)
    outside.shows = ["b"]
    wait_until(lambda: routers.status()[0].is_on_target is None)
    routers.tell(route(2, token=2))
    wait_until(lambda: outside.revisions == [1, 2])
    outside.shows = "b"
    wait_until(lambda: routers.status()[0].is_on_target is True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_by_a_fault_of_ours_is_started_again_by_the_next_state(
    routers: Routers, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Outside()
    use(routers, router(outside))
    with monkeypatch.context() as patch:
        patch.setattr(router_thread.RouterThread, "_apply", raises(ZeroDivisionError()))
        routers.tell(route(1))
        thread = routers._threads[0]._thread
        assert thread is not None
        thread.join(10)
    routers.tell(route(2))
    wait_until(lambda: outside.revisions == [2])


def test_a_router_that_is_new_or_built_anew_is_told_at_once_and_one_that_stays_is_not(routers: Routers) -> None:
    stays, goes, comes = Outside(), Outside(), Outside()
    kept = router(stays, "stays")
    use(routers, kept, router(goes, "other"))
    routers.tell(route(1))
    wait_until(lambda: stays.told and goes.told)
    use(routers, kept, router(comes, "other"))
    wait_until(lambda: comes.told)
    routers.tell(route(2, token=2))
    wait_until(lambda: stays.revisions == [1, 2] and comes.revisions == [1, 2])
    assert goes.revisions == [1]


def test_at_the_end_what_waits_is_carried_out_and_a_router_that_hangs_is_left(caplog: pytest.LogCaptureFixture) -> None:
    sound, stuck = Outside(), Outside()
    stuck.steps = True
    routers = Routers(CLOCK)
    use(routers, router(sound, "sound"), router(stuck, "stuck"))
    routers.tell(leading(1))
    stuck.enters()
    routers.revoke(REVOKE, route(2, leader=None))
    routers.close(0.5)
    assert sound.told[-2:] == ["revoke 1", "route 2"]
    assert [record.__dict__["plugin"] for record in caplog.records if "before the end" in record.message] == ["stuck"]
    stuck.steps = False
    stuck.leaves()


WRONG = """
    from hacore.hookspecs import RouterPlugin, hookimpl

    class Proxy(RouterPlugin):
        def __init__(self, settings):
            pass

        @staticmethod
        @hookimpl
        def hacore_router_traits():
            return {"layer": "proxy"}

        @hookimpl
        def hacore_route(self, request):
            return None
"""


def test_a_router_that_says_something_else_of_itself_cannot_be_used(install: Install) -> None:
    from hacore.plugins.finding import find  # noqa: PLC0415 - what is installed now

    install("p_proxy", WRONG, router={"px": "p_proxy:Proxy"})
    with pytest.raises(PluginError, match="returned dict, want RouterTraits"):
        traits_of(find("router", "px"))


# --- holding work back -------------------------------------------------------------------------------------------------

STEP = DrainTraffic(switchover_id="1-10", candidate="b", timeout_s=5.0)


class Draining(Outside):
    def __init__(self, order: list[str], name: str) -> None:
        super().__init__()
        self.order, self.name = order, name
        self.requests: list[Drain] = []
        self.drain: Callable[[Drain, Job], object] = lambda _request, _job: Held()

    @hookimpl
    def hacore_drain(self, request: Drain, job: Job) -> object:
        self.order.append(self.name)
        self.requests.append(request)
        return self.drain(request, job)


def drain_with(routers: Routers, *ones: Draining, step: DrainTraffic = STEP, job: JobHandle | None = None) -> None:
    layers = {"pooler": Layer.POOLER, "proxy": Layer.PROXY, "address": Layer.ADDRESS}
    plugins = [router(one, one.name) for one in ones]
    routers.use(plugins, {one.name: RouterTraits(layer=layers[one.name], drains=True) for one in ones})
    routers.tell(leading(1))
    routers.drain(step, job or JobHandle())


def test_work_is_held_back_nearest_to_the_client_first_and_not_by_routers_that_cannot(routers: Routers) -> None:
    order: list[str] = []
    ones = [Draining(order, name) for name in ("address", "proxy", "pooler")]
    drain_with(routers, *ones)
    assert order == ["pooler", "proxy", "address"]
    request = ones[2].requests[0]
    assert (request.switchover_id, request.token, request.candidate, request.state.leads) == ("1-10", 1, "b", True)
    assert CLOCK.now() < request.ends_at <= CLOCK.now() + 5.0
    order.clear()
    routers.use([router(ones[0], "address")], {"address": TRAITS})
    routers.drain(STEP, JobHandle())
    assert order == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _request, _job: Degraded(reason="one session stays"), id="degraded"),
        pytest.param(lambda _request, _job: 1 / 0, id="fault"),
        pytest.param(lambda _request, _job: 5, id="nonsense"),
    ],
)
def test_a_router_that_does_not_hold_work_back_is_named_and_the_others_are_asked(
    routers: Routers, answer: Callable[[Drain, Job], object]
) -> None:
    order: list[str] = []
    pooler, proxy = Draining(order, "pooler"), Draining(order, "proxy")
    pooler.drain = answer
    with pytest.raises(PluginUnavailableError, match="not all routers hold work back: pooler: "):
        drain_with(routers, pooler, proxy)
    assert order == ["pooler", "proxy"]


def test_a_router_that_hangs_is_left_when_the_time_is_over_and_with_it_those_after_it(
    routers: Routers, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, _LATE_S=0.01)
    order, release = list[str](), threading.Event()
    pooler, proxy = Draining(order, "pooler"), Draining(order, "proxy")
    pooler.drain = lambda _request, _job: release.wait(10.0)
    with pytest.raises(PluginUnavailableError, match=r"pooler: .*; proxy: no time was left"):
        drain_with(routers, pooler, proxy, step=DrainTraffic(switchover_id="x", candidate=None, timeout_s=0.2))
    assert order == ["pooler"]
    release.set()


def test_a_router_that_says_nothing_cannot_hold_work_back_and_that_is_no_fault(routers: Routers) -> None:
    pooler = Draining([], "pooler")
    pooler.drain = lambda _request, _job: None
    drain_with(routers, pooler)


def test_states_wait_for_the_end_of_a_drain_that_takes_long_and_nothing_is_wrong_with_the_router(
    routers: Routers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick(monkeypatch, _ROUTE_LIMIT_S=1.0)
    pooler = Draining([], "pooler")

    def take_long(_request: Drain, _job: Job) -> object:
        routers.tell(leading(2, valid_until=CLOCK.now() + 70))
        until = CLOCK.now() + 1.5  # a call that waits would be given up meanwhile
        wait_until(lambda: CLOCK.now() > until)
        return Held()

    pooler.drain = take_long
    drain_with(routers, pooler)
    wait_until(lambda: pooler.revisions[-1:] == [2])
    assert routers.status()[0].problem is None
    assert [record.message for record in caplog.records if record.name.endswith("router_thread")] == []


def test_a_router_for_which_no_time_is_left_is_not_asked(routers: Routers) -> None:
    order: list[str] = []
    with pytest.raises(PluginUnavailableError, match="no time was left"):
        drain_with(routers, Draining(order, "pooler"), step=DrainTraffic(switchover_id="x", candidate=None, timeout_s=0.0))
    assert order == []


def test_a_drain_that_is_cancelled_ends_at_once_and_its_plugin_is_told(routers: Routers) -> None:
    pooler, job, entered, ended = Draining([], "pooler"), JobHandle(), threading.Event(), threading.Event()

    def wait(_request: Drain, inner: Job) -> object:
        entered.set()
        try:
            inner.wait(60.0)
        finally:
            ended.set()
        return Held()

    pooler.drain = wait

    def cancel() -> None:
        assert entered.wait(10)
        job.cancel("the lease is lost")

    threading.Thread(target=cancel).start()
    with pytest.raises(JobCancelledError):
        drain_with(routers, pooler, job=job)
    assert ended.wait(10)


def test_before_anything_was_told_nothing_can_be_held_back(routers: Routers) -> None:
    use(routers, router(Outside()))
    with pytest.raises(PluginUnavailableError):
        routers.drain(STEP, JobHandle())


def test_what_was_held_for_too_long_is_let_go_without_a_new_state(routers: Routers) -> None:
    outside, holds = Outside(), list[Hold | None]()
    outside.answer = Applied
    use(routers, router(outside))
    seen = outside.note

    def note(what: str) -> None:
        seen(what)
        holds.append(routers._threads[0]._times.current().state.hold)  # type: ignore[union-attr]

    outside.note = note  # type: ignore[method-assign]
    hold = Hold(switchover_id="x", ends_at=CLOCK.now() + 0.3)
    routers.tell(route(1, hold=hold))
    wait_until(lambda: holds[-1:] == [None])
    assert holds[0] == hold
    assert CLOCK.now() >= hold.ends_at
