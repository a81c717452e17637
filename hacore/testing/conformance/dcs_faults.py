# ruff: noqa: D102 - the name of a test is its documentation
"""Faults, made from outside: the deadline holds, nothing is taken for certain that is not, and the session goes on afterwards."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, cast

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused, Snapshot, WriteRequest, Written
from hacore.testing.conformance import client_program
from hacore.testing.conformance.store import (
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
    write,
    written,
)
from hacore.testing.faults.freezer import freeze

LIMIT_S = 1.0
HELD_UP_S = 5.5  # by one that is stopped at the worst moment; retry_timeout is longer where nobody has changed it


class FaultConformance(StoreKit):
    """Each test is one fault."""

    def test_a_stalled_store_does_not_hold_a_call_beyond_its_limit(self, store: StoreUnderTest, a: Dcs, ttl_s: float) -> None:
        with store.faults.stalled():
            assert_in_time(lambda: a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=LIMIT_S))
            assert_in_time(lambda: a.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=LIMIT_S))
            assert_in_time(lambda: a.publish("member", ttl_s=ttl_s, timeout_s=LIMIT_S))
        assert_works(a)

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
        eventual_snapshot(b)
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
                with takes_at_most(HELD_UP_S):
                    assert isinstance(a.write(WriteRequest(puts=(Put(name="config", value=str(turn)),)), timeout_s=2 * HELD_UP_S), Written)
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
