# ruff: noqa: D102 - the name of a test is its documentation
"""What a network does: answers that are late, lost or dripping, a store that is gone for a while, a watch that has gone silent."""

import time

import pytest

from hacore.interfaces import AcquireRequest, Dcs, Put, Renewed, RenewRequest, WriteRequest
from hacore.testing.conformance.dcs_faults import LIMIT_S, assert_in_time, assert_works
from hacore.testing.conformance.dcs_watch import AT_ONCE_S
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, TIMES, NetworkFaults, StoreKit, Wakes, look, now, renew, take, written


class NetworkConformance(StoreKit):
    """For every store that declares ``networked``."""

    def test_a_store_that_is_gone_does_not_hold_a_call_beyond_its_limit(self, network: NetworkFaults, a: Dcs) -> None:
        with network.down():
            assert_in_time(lambda: a.snapshot(timeout_s=LIMIT_S))
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
        assert_works(a)

    @pytest.mark.parametrize("fault", ["slow", "drip"])
    def test_an_answer_that_would_come_too_late_is_not_waited_for(self, network: NetworkFaults, a: Dcs, fault: str) -> None:
        with network.slow(3 * LIMIT_S) if fault == "slow" else network.drip():
            assert_in_time(lambda: a.snapshot(timeout_s=LIMIT_S))
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
        assert_works(a)

    def test_an_answer_that_is_slow_but_in_time_counts(self, network: NetworkFaults, a: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s + 4.0)
        with network.slow(0.3):
            before = now()
            answer = a.renew(RenewRequest(lock=lock, ttl_s=ttl_s + 4.0), timeout_s=CALL_S)
            assert isinstance(answer, Renewed)
            assert before <= answer.sent_at < before + 0.2
            assert before <= answer.snapshot.sent_at < before + 0.2
            assert a.snapshot(timeout_s=CALL_S).lock == lock

    def test_a_write_whose_answer_is_lost_has_an_unknown_outcome_that_the_next_snapshot_shows(
        self, network: NetworkFaults, a: Dcs, b: Dcs
    ) -> None:
        (version,) = written(a, Put(name="config", value="1"))
        with network.deaf():
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="2", expected=version),)), timeout_s=LIMIT_S))
        assert look(a).records["config"].value == "2"
        assert look(b).records["config"].version == look(a).records["config"].version > version

    def test_an_acquisition_whose_answer_is_lost_is_found_by_the_next_snapshot(self, network: NetworkFaults, a: Dcs) -> None:
        a.publish("member", ttl_s=30.0, timeout_s=CALL_S)  # so that only the acquisition itself is deaf
        with network.deaf():
            assert_in_time(lambda: a.acquire(AcquireRequest(ttl_s=30.0, puts=(Put(name="hacore", value="1"),)), timeout_s=LIMIT_S))
        seen = look(a)
        if seen.lock is None:  # the request never reached the store: as good an outcome
            assert "hacore" not in seen.records
            return
        assert (seen.lock.holder, seen.records["hacore"].value) == ("a", "1")
        assert isinstance(renew(a, seen.lock, 30.0), Renewed)

    def test_a_renewal_whose_answer_is_lost_neither_counts_nor_loses_the_lock(self, network: NetworkFaults, a: Dcs) -> None:
        lock = take(a, 30.0)
        with network.deaf():
            assert_in_time(lambda: a.renew(RenewRequest(lock=lock, ttl_s=30.0, puts=(Put(name="hacore", value="1"),)), timeout_s=LIMIT_S))
        assert look(a).lock == lock
        assert isinstance(renew(a, lock, 30.0), Renewed)

    def test_what_was_missed_while_the_store_was_gone_is_made_good_by_a_wake(self, network: NetworkFaults, a: Dcs, wakes: Wakes) -> None:
        with network.down():
            before = wakes.quiet()
        assert wakes.within(EVENTUALLY_S, after=before)
        before = wakes.quiet(1.5)
        written(a, Put(name="config", value="1"))
        assert wakes.within(AT_ONCE_S, after=before)

    def test_a_watch_that_has_gone_silent_is_opened_again_with_a_wake(self, network: NetworkFaults, wakes: Wakes) -> None:
        bound_s = 3 * TIMES.loop_wait_s
        with network.deaf():
            before = wakes.quiet()
            time.sleep(bound_s)
        assert wakes.within(EVENTUALLY_S, after=before)
