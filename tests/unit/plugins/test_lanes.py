"""A call that hangs holds up nobody but the plugin itself."""

import threading

import pytest

from hacore.errors import DcsUnavailableError, JobCancelledError, PluginUnavailableError
from hacore.plugins.lanes import Lane
from tests.unit.plugins.making import wait_until


def test_a_call_returns_what_the_function_returns_on_one_thread_of_its_own() -> None:
    lane = Lane("p")
    first = lane.run(threading.get_ident, what="call", limit_s=5)
    assert first == lane.run(threading.get_ident, what="call", limit_s=5)
    assert first != threading.get_ident()
    lane.end()


def test_a_call_that_does_not_end_is_abandoned_and_not_made_again_before_it_has_come_back() -> None:
    lane, go_on = Lane("p"), threading.Event()
    with pytest.raises(PluginUnavailableError, match=r"no answer within 0\.05 s"):
        lane.run(go_on.wait, what="call", limit_s=0.05)
    assert lane.is_stuck
    with pytest.raises(PluginUnavailableError, match="has not come back"):
        lane.run(lambda: 1, what="call", limit_s=5)
    assert (lane.late, lane.refused) == (1, 1)
    go_on.set()
    wait_until(lambda: not lane.is_stuck)
    assert lane.run(lambda: 1, what="call", limit_s=5) == 1
    lane.end()


def test_a_call_waits_for_the_one_before_it_within_its_own_limit() -> None:
    lane, begun, go_on = Lane("p"), threading.Event(), threading.Event()

    def slow() -> bool:
        begun.set()
        return go_on.wait(10)

    other = threading.Thread(target=lambda: lane.run(slow, what="slow", limit_s=10))
    other.start()
    assert begun.wait(5)
    with pytest.raises(PluginUnavailableError, match="not called"):
        lane.run(lambda: 1, what="call", limit_s=0.05)
    go_on.set()
    other.join()
    assert lane.run(lambda: 1, what="call", limit_s=5) == 1
    lane.end()


def test_what_the_function_raises_on_purpose_reaches_the_caller() -> None:
    def fail() -> None:
        raise DcsUnavailableError("x")

    with pytest.raises(DcsUnavailableError):
        Lane("p").run(fail, what="call", limit_s=5)


def test_a_plugin_that_wants_to_end_the_process_ends_its_call_only() -> None:
    def leave() -> None:
        raise SystemExit(3)

    lane = Lane("p")
    with pytest.raises(PluginUnavailableError, match="without an answer"):
        lane.run(leave, what="call", limit_s=5)
    assert lane.run(lambda: 1, what="call", limit_s=5) == 1
    lane.end()


def test_a_call_can_be_cancelled_while_it_lasts() -> None:
    lane, go_on = Lane("p"), threading.Event()
    with pytest.raises(JobCancelledError):
        lane.run(go_on.wait, what="call", limit_s=None, is_cancelled=lambda: True)
    go_on.set()
