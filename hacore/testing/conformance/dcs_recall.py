# ruff: noqa: D102 - the name of a test is its documentation
"""Pictures that may be old, whole or in part: no older than allowed, with what this session wrote, and right once the watch has told."""

import time
from contextlib import suppress

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Put, ReleaseRequest, Renewed, Snapshot
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
    written,
)

LONG_S = 30.0
SHORT_S = 0.4


class RecallConformance(StoreKit):
    """Each test is one promise of ``snapshot(max_age_s=...)``; ``wakes`` lets ``b`` watch."""

    @pytest.mark.usefixtures("wakes")
    def test_a_picture_is_no_older_than_allowed_and_shows_what_was_answered_before_it(self, a: Dcs, b: Dcs) -> None:
        answered: list[float] = []
        for number in range(40):
            written(a, Put(name="hacore", value=str(number)))
            answered.append(now())
            asked_at = now()
            seen = recall(b, SHORT_S)
            assert asked_at - SHORT_S <= seen.sent_at <= now()
            shown = int(seen.records["hacore"].value) if "hacore" in seen.records else -1  # of before the first
            assert shown >= sum(at < seen.sent_at for at in answered) - 1
            time.sleep(0.05)

    @pytest.mark.usefixtures("wakes")
    def test_what_this_session_wrote_is_never_missing(self, a: Dcs, b: Dcs) -> None:
        look(b)
        for number in range(10):
            (version,) = written(b, Put(name="failover", value=str(number)))
            assert recall(b, LONG_S).records["failover"].version == version
            b.publish(str(number), ttl_s=LONG_S, timeout_s=CALL_S)
            assert recall(b, LONG_S).members["b"].value == str(number)
            written(a, Put(name="status", value=str(number)))

    @pytest.mark.usefixtures("wakes")
    def test_what_others_do_is_shown_as_soon_as_the_watch_has_told(self, a: Dcs, b: Dcs) -> None:
        look(b)
        lock = take(a, LONG_S, Put(name="hacore", value="1"), Put(name="sync", value="x"))
        a.publish("member", ttl_s=LONG_S, timeout_s=CALL_S)
        eventually(lambda: is_right(a, b))
        renew(a, lock, LONG_S, Put(name="hacore", value="2"), Put(name="sync", value=None))
        eventually(lambda: is_right(a, b))
        a.withdraw(timeout_s=CALL_S)
        a.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        eventually(lambda: is_right(a, b))
        assert recall(b, LONG_S).lock is None

    @pytest.mark.usefixtures("wakes")
    def test_a_version_has_one_instant_of_receipt_however_it_is_shown(self, a: Dcs, b: Dcs) -> None:
        look(b)
        written(a, Put(name="hacore", value="1"))
        eventually(lambda: is_right(a, b))
        assert recall(b, LONG_S).records["hacore"] == look(b).records["hacore"] == recall(b, LONG_S).records["hacore"]

    @pytest.mark.usefixtures("wakes")
    def test_nothing_is_recalled_beyond_its_age_while_nobody_answers(self, store: StoreUnderTest, b: Dcs) -> None:
        look(b)
        with store.faults.stalled():
            time.sleep(2 * SHORT_S)
            asked_at = now()
            with suppress(DcsUnavailableError):
                assert b.snapshot(timeout_s=1.0, max_age_s=SHORT_S).sent_at >= asked_at - SHORT_S

    @pytest.mark.usefixtures("wakes")
    def test_a_renewal_shows_members_as_they_stood_half_of_its_ttl_ago_or_later(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(b, ttl_s)
        assert isinstance(renew(b, lock, ttl_s), Renewed)
        a.publish("new", ttl_s=LONG_S, timeout_s=CALL_S)
        published_at = now()
        assert isinstance(renew(b, lock, ttl_s), Renewed)
        time.sleep(max(0.0, published_at + ttl_s / 2 - now()))
        answer = renew(b, lock, ttl_s)
        assert isinstance(answer, Renewed)
        assert answer.snapshot.members["a"].value == "new"

    def test_nothing_of_before_is_recalled_once_the_store_has_gone_back(self, store: StoreUnderTest, a: Dcs, b: Dcs, wakes: Wakes) -> None:
        written(a, Put(name="hacore", value="old"))
        copy = store.faults.save()
        told = wakes.quiet()
        written(a, Put(name="hacore", value="new"), Put(name="config", value="new"))
        assert wakes.within(EVENTUALLY_S, after=told)
        eventually(lambda: recall(b, LONG_S).records["hacore"].value == "new")
        before = wakes.quiet()
        store.faults.restore(copy)
        assert wakes.within(EVENTUALLY_S, after=before)  # from here on the watch is one of the store as it is now
        seen: list[Snapshot] = []

        def answers() -> bool:
            with suppress(DcsUnavailableError):
                seen.append(recall(b, LONG_S))
            return bool(seen)

        eventually(answers)
        assert {name: record.value for name, record in seen[0].records.items()} == {"hacore": "old"}


def recall(session: Dcs, max_age_s: float) -> Snapshot:
    """Read, or recall."""
    return session.snapshot(timeout_s=CALL_S, max_age_s=max_age_s)


def is_right(a: Dcs, b: Dcs) -> bool:
    """Tell whether ``b`` recalls what ``a`` reads."""
    read, recalled = look(a), recall(b, LONG_S)
    return contents(read) == contents(recalled)


def contents(seen: Snapshot) -> object:
    """Return what a snapshot shows, without when."""
    records = {name: (one.value, one.version) for name, one in seen.records.items()}
    return seen.lock, records, {name: (one.value, one.version) for name, one in seen.members.items()}
