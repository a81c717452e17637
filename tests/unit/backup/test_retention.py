from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest

from hacore.backup.retention import LAST_GOOD, PARENT, Expiry, Known, Retention, expiry
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup

DAY = 86400.0


def removed(
    *backups: Backup, min_count: int = 1, min_age: float = 0, max_age: float = 0, verified: tuple[str, ...] | None = None
) -> list[str]:
    return [one.id for one in judged(*backups, min_count=min_count, min_age=min_age, max_age=max_age, verified=verified).remove]


def judged(*backups: Backup, min_count: int = 1, min_age: float = 0, max_age: float = 0, verified: tuple[str, ...] | None = None) -> Expiry:
    retention = Retention(min_count=min_count, min_age_s=min_age * DAY, max_age_s=max_age * DAY)
    return expiry(backups, retention, now=NOW, system_id=SYSTEM_ID, known=Known(verified=verified))


WEEK = tuple(backup(f"b{days}", days) for days in range(7, -1, -1))  # the newest is of this moment


def test_the_newest_stay_by_count() -> None:
    assert removed(*WEEK, min_count=3) == ["b7", "b6", "b5", "b4", "b3"]


def test_every_point_of_the_window_stays_within_reach() -> None:
    assert removed(*WEEK, min_age=3.5) == ["b7", "b6", "b5"]  # b4 is where the window begins


def test_what_nobody_needs_stays_until_it_is_old() -> None:
    assert removed(*WEEK, min_count=1, max_age=5.5) == ["b7", "b6"]


def test_the_three_numbers_count_together() -> None:
    assert removed(*WEEK, min_count=7, min_age=1, max_age=2) == ["b7"]
    assert removed(*WEEK, min_count=1, min_age=5.5, max_age=2) == ["b7"]


def test_what_does_not_lead_to_where_the_cluster_is_stands_for_nothing() -> None:
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(0x4000000)),))
    led = replace(backup("led", 9), timeline=1, stop_lsn=Lsn(0x3000000))
    lost = [replace(backup(f"lost{days}", days), timeline=1, stop_lsn=Lsn(0x5000000)) for days in (6, 5)]
    retention = Retention(min_count=1, min_age_s=2 * DAY)
    found = expiry([led, *lost], retention, now=NOW, system_id=SYSTEM_ID, known=Known(history=history))
    assert (found.remove, {one.id: why for one, why in found.keep}["led"]) == ((), LAST_GOOD)
    anew = replace(backup("anew", 4), timeline=2, stop_lsn=Lsn(0x5000000))
    found = expiry(
        [led, *lost, anew, replace(backup("newest", 0), timeline=2)], retention, now=NOW, system_id=SYSTEM_ID, known=Known(history=history)
    )
    assert [one.id for one in found.remove] == ["led", "lost6", "lost5"]


def test_what_may_not_be_restorable_stands_for_nothing() -> None:
    nights = (backup("good", 3), backup("unarchived", 2), backup("unarchived, too", 1), backup("of tonight", 0))
    doubted = {"unarchived", "unarchived, too"}
    retention = Retention(min_count=2)
    found = expiry(nights[:3], retention, now=NOW, system_id=SYSTEM_ID, known=Known(doubted=doubted))
    assert (found.remove, {one.id: why for one, why in found.keep}["good"]) == ((), LAST_GOOD)
    found = expiry(nights, retention, now=NOW, system_id=SYSTEM_ID, known=Known(doubted=doubted))
    assert [one.id for one in found.remove] == ["unarchived"]  # "good" and "of tonight" are the two that must stay
    assert expiry(nights, retention, now=NOW, system_id=SYSTEM_ID, known=Known(doubted={one.id for one in nights})).remove == ()


def test_a_doubt_removes_nothing() -> None:
    before = tuple(backup(f"b{days}", days) for days in (40, 39, 38))
    for retention in (Retention(min_count=count, min_age_s=age * DAY) for count in range(4) for age in (0, 2.5, 4)):
        for made in (WEEK, (*before, *WEEK[3:])):
            certain = {one.id for one in expiry(made, retention, now=NOW, system_id=SYSTEM_ID).remove}
            for doubted in combinations([one.id for one in made], 3):
                found = expiry(made, retention, now=NOW, system_id=SYSTEM_ID, known=Known(doubted=doubted))
                assert {one.id for one in found.remove} <= certain, (retention, doubted)


def test_the_last_good_one_never_goes() -> None:
    only = backup("only", 1000)
    failed = replace(backup("failed", 2), state=BackupState.FAILED)
    found = judged(only, failed, min_count=0)
    assert "only" not in [one.id for one in found.remove]
    assert {one.id: reason for one, reason in found.keep}["only"] == LAST_GOOD


def test_nothing_goes_before_something_newer_is_there() -> None:
    late = replace(backup("late", 0.1), state=BackupState.FAILED)
    assert removed(backup("a", 9), late, min_count=0) == []


def test_nothing_goes_before_a_newer_one_was_verified_where_that_is_asked_for() -> None:
    assert removed(*WEEK, verified=()) == []
    assert removed(*WEEK, verified=("b5",)) == ["b7", "b6"]
    assert removed(*WEEK, verified=("b1",)) == ["b7", "b6", "b5", "b4", "b3", "b2"]


def test_parents_of_those_that_stay_stay() -> None:
    full, diff = backup("full", 5), replace(backup("diff", 4), kind=BackupKind.DIFFERENTIAL, parent="full")
    incr = replace(backup("incr", 3), kind=BackupKind.INCREMENTAL, parent="diff")
    found = judged(backup("older", 6), full, diff, incr, min_count=0)
    assert [one.id for one in found.remove] == ["older"]
    assert {one.id: reason for one, reason in found.keep} == {"full": PARENT, "diff": PARENT, "incr": LAST_GOOD}


def test_only_full_ones_count() -> None:
    incr = tuple(replace(one, kind=BackupKind.INCREMENTAL, parent="b7") for one in WEEK[1:])
    assert removed(backup("b9", 9), WEEK[0], *incr, min_count=2) == ["b6", "b5", "b4", "b3", "b2", "b1"]


def test_a_locked_one_and_its_parent_stay() -> None:
    child = replace(WEEK[1], kind=BackupKind.INCREMENTAL, parent="b7", is_locked=True)
    assert removed(WEEK[0], child, *WEEK[2:]) == ["b5", "b4", "b3", "b2", "b1"]


def test_one_that_runs_stays_and_a_failed_one_goes_after_a_day() -> None:
    runs = replace(backup("runs", 9), state=BackupState.RUNNING, stopped_at=None)
    failed = replace(backup("failed", 9), state=BackupState.FAILED)
    fresh = replace(backup("fresh", 0.5), state=BackupState.FAILED)
    assert removed(runs, failed, fresh, backup("good", 0.1)) == ["failed"]


def test_one_of_unknown_age_stays() -> None:
    assert removed(replace(backup("x", 9), started_at=None, stopped_at=None), backup("good", 1)) == []


def test_those_of_another_cluster_stay_and_so_does_everything_where_nobody_knows_whose_it_is() -> None:
    foreign = replace(backup("foreign", 9), system_id="1")
    assert removed(foreign, backup("a", 5), backup("b", 1)) == ["a"]
    assert expiry(WEEK, Retention(min_count=1), now=NOW, system_id=None).remove == ()


def test_each_one_that_stays_has_a_reason() -> None:
    found = judged(*WEEK, min_count=2, min_age=3, max_age=30)
    assert found.remove == ()
    assert all(reason for _, reason in found.keep)
    assert len(found.keep) == len(WEEK)


def test_a_clock_that_runs_ahead_makes_nothing_old() -> None:
    retention = Retention(min_count=1, min_age_s=3.5 * DAY, max_age_s=5.5 * DAY)
    for ahead in (0, 30, 9999):
        found = expiry(WEEK, retention, now=NOW + timedelta(days=ahead), system_id=SYSTEM_ID)
        assert [one.id for one in found.remove] == ["b7", "b6"], ahead


@pytest.mark.parametrize("gap", [1, 30, 9999])
@pytest.mark.parametrize("more", range(9))
def test_the_backups_after_one_long_gap_make_nothing_older_than_so_many_others_would(gap: int, more: int) -> None:
    """The clock has jumped, and each backup from then on is made by it; or it is right, and nothing was made for so long."""
    retention = Retention(min_count=2, min_age_s=3.5 * DAY, max_age_s=5.5 * DAY)
    made = [*WEEK, *(backup(f"after{number}", -gap - number) for number in range(more))]
    found = expiry(made, retention, now=NOW + timedelta(days=gap + more), system_id=SYSTEM_ID)
    assert [one.id for one in found.remove] == [one.id for one in made[: 2 + more]]


def test_a_second_long_gap_says_that_backups_are_made_so_seldom() -> None:
    weekly = tuple(backup(f"w{weeks}", 7 * weeks) for weeks in range(3, -1, -1))
    assert removed(*weekly[:2], max_age=6) == []
    assert removed(*weekly[:3], max_age=6) == ["w3", "w2"]
    assert removed(backup("daily", 22), *weekly, max_age=8) == ["daily", "w3", "w2"]


@pytest.mark.parametrize("days", [0, 20])
def test_one_of_a_clock_that_ran_ahead_stays_and_stands_for_no_other_one(days: int) -> None:
    retention, now = Retention(min_count=2, min_age_s=3.5 * DAY), NOW + timedelta(days=days)
    found = expiry([*WEEK, backup("ahead", -300)], retention, now=now, system_id=SYSTEM_ID)
    assert found.remove == expiry(WEEK, retention, now=now, system_id=SYSTEM_ID).remove == WEEK[:3]
    assert {one.id: reason for one, reason in found.keep}["b0"] == LAST_GOOD
    assert expiry([backup("old", 9), backup("ahead", -300)], retention, now=now, system_id=SYSTEM_ID).remove == ()


def test_no_setting_removes_everything() -> None:
    for count in range(3):
        for age in (0.0, 2.0, 100.0):
            for span in range(8):
                some = WEEK[:span]
                kept = expiry(
                    some, Retention(min_count=count, min_age_s=age, max_age_s=0), now=NOW + timedelta(days=999), system_id=SYSTEM_ID
                ).keep
                assert kept or not some
