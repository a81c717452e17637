"""A store's plugin can neither hang nor surprise the loop."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hacore.errors import ConfigError, DcsUnavailableError, PluginError
from hacore.hookspecs import OpenDcs, hookimpl
from hacore.interfaces import Acquired, AcquireRequest, DcsCapabilities, ReleaseRequest, RenewRequest, Snapshot, WriteRequest
from hacore.model.lease import Lock
from hacore.plugins.dcs import open_dcs
from tests.unit.plugins.making import CONTEXT, plugin

LOCK = Lock(holder="a", instance="1")
SNAPSHOT = Snapshot(sent_at=1.0, revision=None, lock=None)


class Session:
    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer
        self.threads: set[int] = set()

    def _call(self, *_arguments: object, **_limits: object) -> Any:
        self.threads.add(threading.get_ident())
        return self.answer()

    snapshot = acquire = renew = release = write = publish = withdraw = watch = close = _call


class Store:
    def __init__(self, session: object) -> None:
        self.session = session

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        return DcsCapabilities()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> object:
        assert (request.scope, request.namespace, request.member, request.ttl_s) == ("c", "/service", "a", 30)
        if isinstance(self.session, Exception):
            raise self.session
        return self.session


def opened(answer: Callable[[], object]) -> Any:
    return open_dcs(plugin(Store(Session(answer)), kind="dcs"), OpenDcs(context=CONTEXT))


def fail(error: BaseException) -> Callable[[], object]:
    def raising() -> object:
        raise error

    return raising


def test_a_session_answers_through_the_guard() -> None:
    dcs = opened(lambda: SNAPSHOT)
    assert dcs.snapshot(timeout_s=1) is SNAPSHOT
    dcs.close()


def test_every_call_of_a_session_is_made_on_the_same_thread() -> None:
    session = Session(lambda: Acquired(lock=LOCK, sent_at=1.0))
    dcs = open_dcs(plugin(Store(session), kind="dcs"), OpenDcs(context=CONTEXT))
    dcs.acquire(AcquireRequest(ttl_s=30), timeout_s=1)
    dcs.publish("{}", ttl_s=30, timeout_s=1)
    dcs.withdraw(timeout_s=1)
    dcs.watch(lambda: None)
    assert len(session.threads) == 1
    assert threading.get_ident() not in session.threads


class Sleeping:
    """The clock of a machine that sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return datetime.now(UTC)


@pytest.mark.parametrize(("slept_s", "counts"), [(0.9, True), (60.0, False)])
def test_an_answer_that_is_late_by_the_time_in_which_the_machine_slept_counts_as_none(slept_s: float, counts: bool) -> None:
    clock = Sleeping()

    def answer() -> Snapshot:
        clock.seconds += slept_s
        return SNAPSHOT

    request = OpenDcs(context=replace(CONTEXT, clock=clock))
    dcs = open_dcs(plugin(Store(Session(answer)), kind="dcs"), request)
    if counts:
        assert dcs.snapshot(timeout_s=1) is SNAPSHOT
    else:
        with pytest.raises(DcsUnavailableError, match="too late"):
            dcs.snapshot(timeout_s=1)


@pytest.mark.parametrize("answer", [fail(KeyError("x")), fail(PluginError("x")), lambda: None, lambda: "yes", fail(SystemExit(2))])
def test_whatever_goes_wrong_in_a_session_means_that_the_outcome_is_unknown(answer: Callable[[], object]) -> None:
    dcs = opened(answer)
    calls: list[Callable[[], object]] = [
        lambda: dcs.snapshot(timeout_s=1),
        lambda: dcs.acquire(AcquireRequest(ttl_s=30), timeout_s=1),
        lambda: dcs.renew(RenewRequest(lock=LOCK, ttl_s=30), timeout_s=1),
        lambda: dcs.release(ReleaseRequest(lock=LOCK), timeout_s=1),
        lambda: dcs.write(WriteRequest(puts=()), timeout_s=1),
    ]
    for call in calls:
        with pytest.raises(DcsUnavailableError):
            call()


def test_a_session_that_hangs_is_left_shortly_after_the_limit_and_answers_again_later() -> None:
    go_on = threading.Event()

    def hang() -> Snapshot:
        go_on.wait(10)
        return SNAPSHOT

    dcs = opened(hang)
    with pytest.raises(DcsUnavailableError, match="no answer within"):
        dcs.snapshot(timeout_s=0.05)
    with pytest.raises(DcsUnavailableError, match="has not come back"):
        dcs.snapshot(timeout_s=5)
    go_on.set()
    for _ in range(500):
        try:
            assert dcs.snapshot(timeout_s=5) is SNAPSHOT
            break
        except DcsUnavailableError:
            threading.Event().wait(0.01)
    else:
        pytest.fail("the session was given up for ever")


@pytest.mark.parametrize(
    ("session", "error"),
    [
        (None, PluginError),
        ("a session", PluginError),
        (ConfigError("password is wrong"), ConfigError),
        (DcsUnavailableError("nobody there"), DcsUnavailableError),
        (KeyError("x"), DcsUnavailableError),
    ],
)
def test_a_session_that_cannot_be_opened_says_why(session: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_dcs(plugin(Store(session), kind="dcs"), OpenDcs(context=CONTEXT))


def test_a_session_that_does_not_end_is_left_behind() -> None:
    opened(fail(KeyError("x"))).close()
