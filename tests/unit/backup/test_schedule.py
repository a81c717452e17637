from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from hacore.backup.schedule import BACK_OFF_S, Attempt, Due, Schedule, Waits, cron, last_due, next_due, when, zone
from hacore.convert import WrongValueError

NIGHTLY = Schedule(expression="30 2 * * *")
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
TONIGHT, LAST_NIGHT = datetime(2026, 5, 21, 2, 30, tzinfo=UTC), datetime(2026, 5, 20, 2, 30, tzinfo=UTC)


def test_times_that_have_come_and_that_have_yet_to() -> None:
    assert (last_due(NIGHTLY, NOON), next_due(NIGHTLY, NOON)) == (LAST_NIGHT, TONIGHT)
    assert last_due(NIGHTLY, LAST_NIGHT) == LAST_NIGHT
    assert next_due(NIGHTLY, LAST_NIGHT) == TONIGHT


def test_a_schedule_is_of_its_zone() -> None:
    berlin = replace(NIGHTLY, timezone="Europe/Berlin")
    assert last_due(berlin, NOON) == datetime(2026, 5, 20, 0, 30, tzinfo=UTC)


def test_a_time_that_the_clock_skips_in_spring_comes_all_the_same_and_one_that_it_repeats_comes_once() -> None:
    berlin = replace(NIGHTLY, timezone="Europe/Berlin")
    spring, autumn = datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    for noon in (spring, autumn):
        due, before = last_due(berlin, noon), last_due(berlin, noon - timedelta(days=1))
        assert due is not None
        assert due.astimezone(ZoneInfo("Europe/Berlin")).date() == noon.date()
        assert before is not None
        assert (due - before) < timedelta(hours=26)


@pytest.mark.parametrize(("zone", "days"), [("Europe/Berlin", ((3, 30), (10, 26))), ("Australia/Lord_Howe", ((4, 6), (10, 5)))])
@pytest.mark.parametrize("expression", ["0 * * * *", "*/15 * * * *", "30 2 * * *", "30 1 * * *"])
def test_no_time_goes_back_or_is_passed_over_when_clocks_change(expression: str, zone: str, days: tuple[tuple[int, int], ...]) -> None:
    schedule = Schedule(expression=expression, timezone=zone)
    for month, day in days:
        moments = [datetime(2030, month, day, 12, tzinfo=UTC) + number * timedelta(minutes=15) for number in range(24 * 4)]
        due, coming = [last_due(schedule, one) for one in moments], [next_due(schedule, one) for one in moments]
        assert all(before is not None and after is not None and before <= after for before, after in (*pairwise(due), *pairwise(coming)))
        assert {one for one in coming if one is not None and one <= moments[-1]} <= set(due)


def test_each_hour_of_the_night_that_is_longer_has_its_backup() -> None:
    hourly = Schedule(expression="0 * * * *", timezone="Europe/Berlin")
    for hour in range(6):
        at = datetime(2030, 10, 27, hour, tzinfo=UTC)
        assert last_due(hourly, at + timedelta(minutes=5)) == at
        assert next_due(hourly, at + timedelta(minutes=5)) == at + timedelta(hours=1)


def test_lateness_is_the_same_on_every_node_and_within_its_bound() -> None:
    late = replace(NIGHTLY, jitter_s=3600, salt="main")
    found = {last_due(replace(late, salt=salt), NOON) for salt in ("main", "main", "other", "third")}
    assert len(found) == 3
    assert all(one is not None and LAST_NIGHT <= one < LAST_NIGHT + timedelta(hours=1) for one in found)
    at = last_due(late, NOON)
    assert at is not None
    assert last_due(late, at - timedelta(seconds=1)) == last_due(late, LAST_NIGHT - timedelta(seconds=1))
    assert next_due(late, at - timedelta(seconds=1)) == at


def test_what_was_missed_is_caught_up_with_once() -> None:
    assert isinstance(when(NIGHTLY, now=NOON, done_at=LAST_NIGHT - timedelta(days=3)), Due)
    assert when(NIGHTLY, now=NOON, done_at=LAST_NIGHT) == Waits(until=TONIGHT)
    assert when(NIGHTLY, now=NOON, done_at=NOON - timedelta(hours=1)) == Waits(until=TONIGHT)  # by hand, this morning


def test_a_cluster_without_a_backup_gets_one_at_once() -> None:
    assert isinstance(when(NIGHTLY, now=NOON, done_at=None), Due)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_failure_is_repeated_after_a_while(failures: int) -> None:
    ended = LAST_NIGHT + timedelta(hours=1)
    attempt, again = Attempt(ended_at=ended, failures=failures), ended + timedelta(seconds=BACK_OFF_S[failures - 1])
    assert when(NIGHTLY, now=again - timedelta(seconds=1), done_at=None, attempt=attempt) == Waits(until=again)
    assert isinstance(when(NIGHTLY, now=again, done_at=None, attempt=attempt), Due)


def test_after_three_repetitions_the_next_time_of_the_schedule_is_waited_for() -> None:
    attempt = Attempt(ended_at=LAST_NIGHT + timedelta(hours=2), failures=4)
    assert when(NIGHTLY, now=NOON, done_at=None, attempt=attempt) == Waits(until=TONIGHT)
    assert isinstance(when(NIGHTLY, now=TONIGHT, done_at=None, attempt=attempt), Due)


def test_a_success_by_hand_after_failures_ends_the_repetitions() -> None:
    attempt = Attempt(ended_at=LAST_NIGHT + timedelta(hours=1), failures=2)
    assert when(NIGHTLY, now=NOON, done_at=LAST_NIGHT + timedelta(hours=2), attempt=attempt) == Waits(until=TONIGHT)


def test_a_date_that_never_comes_and_what_is_no_schedule_are_refused() -> None:
    for text in ("", "* * * *", "0 3 * * * *", "61 * * * *", "0 0 31 2 *", "nightly", "0 3 * *  x"):
        with pytest.raises(WrongValueError):
            cron(text)
    assert cron("  0  3 * * mon-fri ") == "0 3 * * mon-fri"


def test_a_zone_that_the_machine_does_not_know_is_refused() -> None:
    assert zone("Europe/Berlin") == "Europe/Berlin"
    for text in ("Mars/Olympus", "../../etc/passwd", " "):
        with pytest.raises(WrongValueError):
            zone(text)
