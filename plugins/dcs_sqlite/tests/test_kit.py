"""The kit for stores finds out a store that does not keep what it declares. The good store is tried in ``test_conformance.py``."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.interfaces import Acquired, AcquireRequest, Dcs, DcsCapabilities, Refused, Snapshot, WriteRequest
from hacore.model.clock import BootClock
from hacore.testing.conformance.dcs_lock import LockConformance
from hacore.testing.conformance.dcs_records import RecordConformance
from hacore.testing.conformance.store import EXPIRY_SLACK_S, SLACK_S
from hacore_dcs_sqlite.dcs import SqliteDcs

CLOCK, LOCK, RECORDS = BootClock(), LockConformance(), RecordConformance()


class Lingering(SqliteDcs):
    """Keeps a lock for longer than was asked for."""

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        return super().acquire(replace(request, ttl_s=request.ttl_s + 2 * SLACK_S), timeout_s=timeout_s)


class RecordsFirst(SqliteDcs):
    """Writes the records, then takes the lock."""

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        if isinstance(refused := super().write(WriteRequest(puts=request.puts), timeout_s=timeout_s), Refused):
            return refused
        return super().acquire(replace(request, puts=()), timeout_s=timeout_s)


class WithoutRevision(SqliteDcs):
    """Shows no revision."""

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        return replace(super().snapshot(timeout_s=timeout_s, max_age_s=max_age_s), revision=None)


Open = Callable[[type[SqliteDcs], str], Dcs]


@pytest.fixture
def opened(scratch: Path) -> Iterator[Open]:
    path = scratch / "store.db"
    made: list[Dcs] = []

    def one(kind: type[SqliteDcs], member: str) -> Dcs:
        made.append(kind(path=path, cluster="hacore-kit/kit", member=member, clock=CLOCK))
        return made[-1]

    yield one
    for session in made:
        session.close()


@pytest.mark.parametrize("declared", [True, False])
def test_a_lock_may_linger_only_where_the_store_says_so(opened: Open, declared: bool) -> None:
    a, b, lingers_s = opened(Lingering, "a"), opened(SqliteDcs, "b"), EXPIRY_SLACK_S if declared else SLACK_S
    with nullcontext() if declared else pytest.raises(AssertionError):
        LOCK.test_a_lock_that_is_not_renewed_expires_but_never_early(a, b, 0.5, lingers_s)


def test_records_that_are_written_before_the_lock_are_seen(opened: Open) -> None:
    with pytest.raises(AssertionError):
        LOCK.test_the_lock_and_its_records_change_together(opened(RecordsFirst, "a"), opened(SqliteDcs, "b"), ("hacore", "status"), 2.0)


def test_a_revision_is_shown_by_who_declares_it_and_by_nobody_else(opened: Open) -> None:
    a, b, without = opened(SqliteDcs, "a"), opened(SqliteDcs, "b"), opened(WithoutRevision, "c")
    RECORDS.test_a_snapshot_shows_every_write_that_was_answered_before(DcsCapabilities(snapshot_revision=False), a, without)
    with pytest.raises(AssertionError):
        RECORDS.test_a_snapshot_shows_every_write_that_was_answered_before(DcsCapabilities(snapshot_revision=True), a, without)
    with pytest.raises(AssertionError):
        RECORDS.test_a_snapshot_shows_every_write_that_was_answered_before(DcsCapabilities(snapshot_revision=False), a, b)
