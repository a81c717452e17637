# ruff: noqa: D102 - the name of a test is its documentation
"""Faults, made from outside: the deadline holds, nothing is taken for certain that is not, and the session goes on afterwards."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, cast

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused, Renewed, RenewRequest, Snapshot, WriteRequest
from hacore.testing.conformance import client_program
from hacore.testing.conformance.store import (
    CALL_S,
    EVENTUALLY_S,
    StoreKit,
    StoreUnderTest,
    Wakes,
    eventually,
    look,
    now,
    renew,
    take,
    takes_at_most,
    wanted,
    write,
    written,
)
from hacore.testing.faults.freezer import freeze

LIMIT_S = 1.0


class FaultConformance(StoreKit):
    """Each test is one fault."""

    def test_a_stalled_store_does_not_hold_a_call_beyond_its_limit(self, store: StoreUnderTest, a: Dcs, ttl_s: float) -> None:
        with store.faults.stalled():
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
            assert_in_time(lambda: a.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=LIMIT_S))
            assert_in_time(lambda: a.publish("member", ttl_s=ttl_s, timeout_s=LIMIT_S))
        assert_works(a)

    def test_a_store_that_is_gone_does_not_hold_a_call_beyond_its_limit(self, store: StoreUnderTest, a: Dcs) -> None:
        down = wanted(store.faults.down)
        with down():
            assert_in_time(lambda: a.snapshot(timeout_s=LIMIT_S))
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
        assert_works(a)

    @pytest.mark.parametrize("fault", ["slow", "drip"])
    def test_an_answer_that_would_come_too_late_is_not_waited_for(self, store: StoreUnderTest, a: Dcs, fault: str) -> None:
        kind = store.faults.slow if fault == "slow" else store.faults.drip
        arguments = (3 * LIMIT_S,) if fault == "slow" else ()
        with wanted(kind)(*arguments):
            assert_in_time(lambda: a.snapshot(timeout_s=LIMIT_S))
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
        assert_works(a)

    def test_an_answer_that_is_slow_but_in_time_counts(self, store: StoreUnderTest, a: Dcs, ttl_s: float) -> None:
        slow = wanted(store.faults.slow)
        lock = take(a, ttl_s + 4.0)
        with slow(0.3):
            before = now()
            answer = a.renew(RenewRequest(lock=lock, ttl_s=ttl_s + 4.0), timeout_s=CALL_S)
            assert isinstance(answer, Renewed)
            assert before <= answer.sent_at < before + 0.2
            assert before <= answer.snapshot.sent_at < before + 0.2
            assert a.snapshot(timeout_s=CALL_S).lock == lock

    def test_a_write_whose_answer_is_lost_has_an_unknown_outcome_that_the_next_snapshot_shows(
        self, store: StoreUnderTest, a: Dcs, b: Dcs
    ) -> None:
        deaf = wanted(store.faults.deaf)
        (version,) = written(a, Put(name="config", value="1"))
        with deaf():
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="2", expected=version),)), timeout_s=LIMIT_S))
        assert look(a).records["config"].value == "2"
        assert look(b).records["config"].version == look(a).records["config"].version > version

    def test_an_acquisition_whose_answer_is_lost_is_found_by_the_next_snapshot(self, store: StoreUnderTest, a: Dcs) -> None:
        deaf = wanted(store.faults.deaf)
        a.publish("member", ttl_s=30.0, timeout_s=CALL_S)  # so that only the acquisition itself is deaf
        with deaf():
            assert_in_time(lambda: a.acquire(AcquireRequest(ttl_s=30.0, puts=(Put(name="hacore", value="1"),)), timeout_s=LIMIT_S))
        seen = look(a)
        if seen.lock is None:  # the request never reached the store: as good an outcome
            assert "hacore" not in seen.records
            return
        assert (seen.lock.holder, seen.records["hacore"].value) == ("a", "1")
        assert isinstance(renew(a, seen.lock, 30.0), Renewed)

    def test_a_renewal_whose_answer_is_lost_neither_counts_nor_loses_the_lock(self, store: StoreUnderTest, a: Dcs) -> None:
        deaf = wanted(store.faults.deaf)
        lock = take(a, 30.0)
        with deaf():
            assert_in_time(lambda: a.renew(RenewRequest(lock=lock, ttl_s=30.0, puts=(Put(name="hacore", value="1"),)), timeout_s=LIMIT_S))
        assert look(a).lock == lock
        assert isinstance(renew(a, lock, 30.0), Renewed)

    def test_one_frozen_server_of_many_costs_no_call(self, store: StoreUnderTest, a: Dcs) -> None:
        one_frozen = wanted(store.faults.one_frozen)
        lock = take(a, 30.0)
        with one_frozen():
            answers: list[object] = [a.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=CALL_S)]
            for number in range(3):
                answers.append(look(a))
                answers.append(write(a, Put(name="config", value=str(number)), lock=lock))
        assert [answer for answer in answers if isinstance(answer, Refused)] == []

    def test_an_answer_lost_at_one_server_is_not_mistaken_for_the_refusal_of_the_next(self, store: StoreUnderTest, a: Dcs, b: Dcs) -> None:
        one_deaf = wanted(store.faults.one_deaf)
        (version,) = written(a, Put(name="config", value="1"))
        with one_deaf(), suppress(DcsUnavailableError):
            assert not isinstance(write(a, Put(name="config", value="2", expected=version)), Refused)
        assert look(b).records["config"].value == "2"

    def test_a_lock_taken_away_early_is_a_definite_loss(self, store: StoreUnderTest, cluster: str, a: Dcs) -> None:
        lock = take(a, 30.0)
        store.faults.remove_lock(cluster)
        assert renew(a, lock, 30.0) == Refused(holder=None)
        assert take(a, 30.0).instance != lock.instance

    def test_a_store_that_has_gone_back_is_shown_as_it_is(self, store: StoreUnderTest, a: Dcs, b: Dcs, wakes: Wakes) -> None:
        written(a, Put(name="hacore", value="old"), Put(name="config", value="old"))
        old = look(b)
        copy = store.faults.save()
        for number in range(20):
            written(a, Put(name="hacore", value=f"new {number}"), Put(name="status", value="new"))
        newest = look(b)
        store.faults.restore(copy)
        restored_at = now()
        seen = eventual_snapshot(b)
        assert {name: record.value for name, record in seen.records.items()} == {"hacore": "old", "config": "old"}
        assert seen.records["hacore"].version == old.records["hacore"].version < newest.records["hacore"].version
        assert seen.records["hacore"].received_at >= restored_at - EVENTUALLY_S
        assert seen.records["hacore"].received_at > newest.sent_at
        assert seen.revision is None or seen.revision < cast("int", newest.revision)
        assert eventual_snapshot(b).records["hacore"] == seen.records["hacore"]
        assert_works(a)
        assert wakes.count > 0
        before = wakes.quiet(1.5)
        written(b, Put(name="failover", value="{}"))
        assert wakes.within(2.0, after=before)

    def test_a_lock_of_before_is_not_mistaken_for_one_of_after_the_store_went_back(self, store: StoreUnderTest, a: Dcs, b: Dcs) -> None:
        copy = store.faults.save()
        for _ in range(3):
            written(a, Put(name="hacore", value="1"))
        lock = take(a, 30.0)
        store.faults.restore(copy)
        eventual_snapshot(a)
        assert renew(a, lock, 30.0) == Refused(holder=None)
        take(b, 30.0)
        assert renew(a, lock, 30.0) == Refused(holder="b")

    def test_a_client_that_is_killed_at_any_point_leaves_whole_writes_and_nobody_waiting(
        self, store: StoreUnderTest, cluster: str, a: Dcs
    ) -> None:
        told = 0
        for turn in range(4):
            process = client_program.start(store, cluster, "counting")
            output = cast("IO[bytes]", process.stdout)
            told = int(output.readline())  # it has begun
            time.sleep(random.Random(turn).uniform(0.01, 0.1))
            process.kill()
            process.wait()
            rest = [line for line in output.read().split(b"\n")[:-1] if line]
            output.close()
            told = int(rest[-1]) if rest else told
            with takes_at_most(1.0):
                written(a, Put(name="config", value=str(turn)))
            stands = int(look(a).records[client_program.COUNTER].value)
            assert told <= stands <= told + 1

    def test_a_client_that_is_stopped_at_any_point_holds_up_nobody(self, store: StoreUnderTest, cluster: str, a: Dcs) -> None:
        for turn in range(4):
            process = client_program.start(store, cluster, f"stopped-{turn}")
            try:
                cast("IO[bytes]", process.stdout).readline()
                time.sleep(random.Random(turn).uniform(0.0, 0.05))
                freeze(process.pid)
                with takes_at_most(1.5):
                    written(a, Put(name="config", value=str(turn)))
            finally:
                process.kill()
                process.wait()
                cast("IO[bytes]", process.stdout).close()


def assert_in_time(call: Callable[[], object]) -> None:
    """The call says that the outcome is unknown, within its limit."""
    with takes_at_most(LIMIT_S), pytest.raises(DcsUnavailableError):
        call()


def assert_works(session: Dcs) -> None:
    """The session reads and writes again, without being opened anew."""
    value = f"after {now()}"

    def is_back() -> bool:
        with suppress(DcsUnavailableError):
            write(session, Put(name="config", value=value))
            return look(session).records["config"].value == value
        return False

    eventually(is_back)


def eventual_snapshot(session: Dcs) -> Snapshot:
    """Read as soon as the store answers."""
    seen: list[Snapshot] = []

    def answers() -> bool:
        with suppress(DcsUnavailableError):
            seen.append(look(session))
        return bool(seen)

    eventually(answers)
    return seen[0]
