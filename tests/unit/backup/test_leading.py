from dataclasses import replace
from datetime import timedelta

import pytest

from hacore.backup.leading import Wanted, abandoned, begun, due_work, in_doubt, kind_to_make, next_backup, passed_on, places, summed_up
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Retention
from hacore.backup.schedule import Schedule
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.backups import BackupRecord, BackupResult, BackupWork, Doubt
from hacore.model.lsn import Lsn
from hacore.model.policy import Tags
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup
from tests.unit.decide.worlds import cluster, member

NIGHTLY = BackupPolicy(schedule=Schedule(expression="0 3 * * *"), kind=BackupKind.DIFFERENTIAL)
FRESH = (backup("old", 3), backup("fresh", 0.1))
WAL = "000000010000000000000003"
STREAMING = {"replication_state": "streaming"}


def result(work: BackupWork, *, hours_ago: float, error: str | None = None, failures: int = 0) -> BackupResult:
    ended = NOW - timedelta(hours=hours_ago)
    return BackupResult(id="t", work=work, member="a", began_at=ended, ended_at=ended, error=error, failures=failures)


def test_a_backup_that_is_made_waits_for_the_leader_and_all_else_has_ended_with_the_member() -> None:
    task = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=NOW)
    made = replace(result(BackupWork.BACKUP, hours_ago=0), backup="one")
    waits = task.reported(made)
    assert (waits.task.made if waits.task else None, waits.results) == (made, ())
    assert waits.ended(made).results == (replace(made, asked_at=NOW),)
    cancelled = abandoned(waits, now=NOW, error="cancelled by a person", is_final=True)
    assert (cancelled.task, cancelled.results[0].backup, cancelled.doubts) == (None, "one", (Doubt(backup="one", is_unknown=True),))
    assert task.reported(replace(made, error="x")).task is None
    assert task.reported(replace(made, work=BackupWork.VERIFY)).task is None


def test_a_task_of_a_member_that_a_person_has_named_goes_to_no_other_one() -> None:
    view = cluster("a", members=(member("a", role="primary"), member("b", **STREAMING), member("c", **STREAMING)))
    wanted = Wanted(work=BackupWork.BACKUP, reason="r", is_pinned=True)
    task = begun(BackupRecord(), wanted, task_id="t", member="b", token=1, now=NOW)
    failed = passed_on(task, view, Prefer.STANDBY, token=1, now=NOW)
    assert (failed.task, failed.results[0].error) == (None, "b did not take it")


def test_nothing_is_due_where_nothing_is_configured() -> None:
    assert due_work(BackupRecord(), BackupPolicy(), (), now=NOW, system_id=SYSTEM_ID) is None
    assert next_backup(BackupRecord(), BackupPolicy(), (), now=NOW) is None


def test_a_backup_that_was_missed_is_due_with_the_configured_kind() -> None:
    found = due_work(BackupRecord(), NIGHTLY, (backup("old", 2),), now=NOW, system_id=SYSTEM_ID)
    assert found is not None
    assert (found.work, found.kind) == (BackupWork.BACKUP, BackupKind.DIFFERENTIAL)
    assert next_backup(BackupRecord(), NIGHTLY, (backup("old", 2),), now=NOW) == NOW


def test_only_a_good_backup_counts_as_made() -> None:
    assert due_work(BackupRecord(), NIGHTLY, FRESH, now=NOW, system_id=SYSTEM_ID) is None
    failed = replace(FRESH[1], state=BackupState.FAILED)
    assert due_work(BackupRecord(), NIGHTLY, (FRESH[0], failed), now=NOW, system_id=SYSTEM_ID) is not None


def test_those_of_another_cluster_do_not_count_as_made() -> None:
    foreign = replace(FRESH[1], system_id="1")
    found = due_work(BackupRecord(), NIGHTLY, (foreign,), now=NOW, system_id=SYSTEM_ID)
    assert found is not None


def test_one_that_failed_just_now_is_not_due_yet() -> None:
    record = BackupRecord(results=(result(BackupWork.BACKUP, hours_ago=0.01, error="x", failures=1),))
    assert due_work(record, NIGHTLY, (), now=NOW, system_id=SYSTEM_ID) is None


def made_by(behind: timedelta) -> tuple[BackupRecord, Backup]:
    """A backup that was asked for when it was due, and made by a clock that is behind."""
    due = NOW.replace(hour=3)
    task = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=due)
    began, ended = due - behind, due - behind + timedelta(minutes=1)
    made = BackupResult(id="t", work=BackupWork.BACKUP, member="a", began_at=began, ended_at=ended, backup="tonight's")
    return task.ended(made), backup("tonight's", started_at=began, stopped_at=ended)


def test_a_backup_made_by_a_clock_that_is_behind_is_made_once() -> None:
    record, listed = made_by(timedelta(minutes=5))
    soon = NOW.replace(hour=3, minute=2)
    assert due_work(record, NIGHTLY, (backup("old", 3), listed), now=soon, system_id=SYSTEM_ID) is None
    assert next_backup(record, NIGHTLY, (listed,), now=soon) == NOW.replace(hour=3) + timedelta(days=1)
    gone = due_work(record, NIGHTLY, (backup("old", 3),), now=soon, system_id=SYSTEM_ID)
    assert gone is not None, "what is no longer there was not made"
    tomorrow = due_work(record, NIGHTLY, (listed,), now=soon + timedelta(days=1), system_id=SYSTEM_ID)
    assert tomorrow is not None


def test_a_failure_by_a_clock_that_is_behind_is_not_repeated_at_once() -> None:
    done, _ = made_by(timedelta(minutes=5))
    failed = replace(done, results=tuple(replace(one, error="x", failures=1) for one in done.results))
    soon = NOW.replace(hour=3, minute=2)
    assert due_work(failed, NIGHTLY, (), now=soon, system_id=SYSTEM_ID) is None
    assert due_work(failed, NIGHTLY, (), now=soon + timedelta(minutes=5), system_id=SYSTEM_ID) is not None


def test_a_check_by_a_clock_that_is_behind_is_made_once() -> None:
    due, soon = NOW.replace(hour=6), NOW.replace(hour=6, minute=2)
    task = begun(BackupRecord(), Wanted(work=BackupWork.VERIFY, reason="r", restores=True), task_id="t", member="a", token=1, now=due)
    early = due - timedelta(minutes=5)
    record = task.ended(BackupResult(id="t", work=BackupWork.VERIFY, member="a", began_at=early, ended_at=early, backup="fresh"))
    assert due_work(record, BackupPolicy(verify=Schedule(expression="0 6 * * *")), FRESH, now=soon, system_id=SYSTEM_ID) is None


AHEAD = timedelta(days=30)
CHECKED = BackupPolicy(verify=Schedule(expression="0 6 * * *"))


def test_a_leader_whose_clock_ran_ahead_leaves_no_backup_that_counts_for_weeks() -> None:
    record, listed = made_by(timedelta())
    ahead = replace(record, results=tuple(replace(one, asked_at=NOW + AHEAD) for one in record.results))
    assert next_backup(ahead, NIGHTLY, (listed,), now=NOW) == NOW.replace(hour=3) + timedelta(days=1)
    assert due_work(ahead, NIGHTLY, (listed,), now=NOW, system_id=SYSTEM_ID) is None, "the tool's time counts"
    assert due_work(ahead, NIGHTLY, (listed,), now=NOW + timedelta(days=1), system_id=SYSTEM_ID) is not None


def test_one_of_a_clock_that_ran_ahead_is_not_checked_again_and_again() -> None:
    listed = (*FRESH, backup("of a clock that ran ahead", -30))
    found = due_work(BackupRecord(), CHECKED, listed, now=NOW, system_id=SYSTEM_ID)
    later = due_work(BackupRecord(), CHECKED, listed, now=NOW + timedelta(days=31), system_id=SYSTEM_ID)
    alone = due_work(BackupRecord(), CHECKED, listed[2:], now=NOW, system_id=SYSTEM_ID)
    assert [one.backup if one else None for one in (found, later, alone)] == ["fresh", listed[2].id, listed[2].id]


def test_a_backup_made_by_a_clock_that_ran_ahead_counts_by_that_of_the_leader_alone() -> None:
    record, listed = made_by(-AHEAD)
    assert due_work(record, NIGHTLY, (listed,), now=NOW, system_id=SYSTEM_ID) is None
    assert due_work(record, NIGHTLY, (listed,), now=NOW + timedelta(days=1), system_id=SYSTEM_ID) is not None
    assert due_work(BackupRecord(), NIGHTLY, (backup("old", 3), listed), now=NOW, system_id=SYSTEM_ID) is not None


@pytest.mark.parametrize(
    ("work", "policy"),
    [
        (BackupWork.BACKUP, NIGHTLY),
        (BackupWork.VERIFY, CHECKED),
        (BackupWork.EXPIRE, BackupPolicy(retention=Retention(min_count=1))),
    ],
)
def test_a_failure_of_a_time_to_come_holds_nothing_up(work: BackupWork, policy: BackupPolicy) -> None:
    failed = replace(result(work, hours_ago=0, error="x", failures=2), ended_at=NOW + AHEAD, asked_at=NOW + AHEAD)
    old = (backup("older", 4), backup("old", 3))
    assert due_work(BackupRecord(results=(failed,)), policy, old, now=NOW, system_id=SYSTEM_ID) is not None
    recent = replace(failed, asked_at=NOW - timedelta(minutes=1) if work is BackupWork.EXPIRE else NOW)
    assert due_work(BackupRecord(results=(recent,)), policy, old, now=NOW, system_id=SYSTEM_ID) is None


def test_a_check_of_a_time_to_come_was_not_made() -> None:
    good = replace(result(BackupWork.VERIFY, hours_ago=0), asked_at=NOW + AHEAD, backup="fresh")
    record = BackupRecord(results=(good,), verified=(("fresh", NOW + AHEAD),))
    assert due_work(record, CHECKED, FRESH, now=NOW, system_id=SYSTEM_ID) is not None
    asked = replace(record, results=(replace(good, asked_at=NOW - timedelta(hours=1)),))
    assert due_work(asked, CHECKED, FRESH, now=NOW, system_id=SYSTEM_ID) is None


def unarchived(lacks: tuple[str, ...] = (WAL,)) -> BackupRecord:
    """After an attempt whose WAL was not archived in time."""
    record, _ = made_by(timedelta())
    (made,) = record.results
    task = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=NOW.replace(hour=3))
    return task.ended(replace(made, error="it cannot be restored yet"), Doubt(backup="tonight's", lacks=lacks))


def test_a_backup_whose_wal_is_not_archived_is_repeated_and_counts_for_nothing_until_it_is() -> None:
    record, (_, listed) = unarchived(), made_by(timedelta())
    soon, later = NOW.replace(hour=3, minute=2), NOW.replace(hour=3, minute=30)
    policy = replace(NIGHTLY, retention=Retention(min_count=1))
    found = [backup("good", 3), listed]
    assert due_work(record, policy, found, now=soon, system_id=SYSTEM_ID) is None
    again = due_work(record, policy, found, now=later, system_id=SYSTEM_ID)
    assert again is not None
    assert again.work is BackupWork.BACKUP
    summed = summed_up(record, found, SYSTEM_ID, now=NOW)
    assert (summed.listed, summed.newest_good, summed.doubts) == (1, found[0].stopped_at, record.doubts)

    settled = summed_up(record, found, SYSTEM_ID, {"tonight's"}, now=NOW)
    assert (settled.listed, settled.newest_good, settled.doubts) == (2, listed.stopped_at, ())
    expired = due_work(settled, policy, found, now=later, system_id=SYSTEM_ID)
    assert expired is not None
    assert (expired.work, expired.remove) == (BackupWork.EXPIRE, ("good",))


def test_the_last_restorable_one_outlives_nights_whose_wal_was_not_archived() -> None:
    record = BackupRecord(doubts=(Doubt(backup="second", lacks=(WAL,)), Doubt(backup="third", lacks=(WAL,))))
    nights = [backup("first", 3), backup("second", 2), backup("third", 1)]
    policy = BackupPolicy(retention=Retention(min_count=2))
    assert due_work(record, policy, nights, now=NOW, system_id=SYSTEM_ID) is None
    assert due_work(BackupRecord(), policy, nights, now=NOW, system_id=SYSTEM_ID) is not None


def checked(
    record: BackupRecord, *, error: str | None = None, restores: bool = True, is_found_bad: bool = True, may_lack_wal: bool = False
) -> BackupRecord:
    wanted = Wanted(work=BackupWork.VERIFY, reason="r", restores=restores)
    task = begun(record, wanted, task_id="v", member="a", token=1, now=NOW)
    outcome = BackupResult(id="v", work=BackupWork.VERIFY, member="a", began_at=NOW, ended_at=NOW, error=error, backup="tonight's")
    return task.reported(replace(outcome, is_found_bad=error is not None and is_found_bad, may_lack_wal=may_lack_wal))


def test_a_check_that_fails_is_a_doubt_and_one_that_restores_settles_it() -> None:
    for record in (unarchived(), checked(BackupRecord(), error="it is damaged")):
        assert [one.backup for one in record.doubts] == ["tonight's"]
        assert checked(record, restores=False).doubts == record.doubts, "whole files are no WAL"
        assert checked(record).doubts == ()
    assert checked(unarchived(), error="it does not start").doubts == (Doubt(backup="tonight's"),), "WAL is not all that it lacks"
    assert summed_up(unarchived(), (), SYSTEM_ID, now=NOW).doubts == (), "it is gone"


def test_a_check_that_could_not_be_made_says_nothing_of_the_backup() -> None:
    good = checked(BackupRecord())
    failed = checked(good, error="no room for a copy", is_found_bad=False)
    assert (failed.verified, failed.doubts) == (good.verified, ())
    asked = begun(good, Wanted(work=BackupWork.VERIFY, reason="r", backup="tonight's"), task_id="v", member="a", token=1, now=NOW)
    assert abandoned(asked, now=NOW, error="cancelled by a person").verified == good.verified
    bad = checked(good, error="it does not start")
    assert (bad.verified, bad.doubts) == ((), (Doubt(backup="tonight's"),))
    assert checked(bad, error="no room for a copy", is_found_bad=False).doubts == bad.doubts


def test_a_backup_that_may_lack_wal_is_in_doubt_until_the_archive_has_it() -> None:
    listed = backup("tonight's")
    for before in (BackupRecord(), checked(BackupRecord())):
        record = checked(before, error="WAL ends before end of online backup", is_found_bad=False, may_lack_wal=True)
        assert (record.doubts, record.found_bad) == ((Doubt(backup="tonight's", is_unknown=True),), frozenset())
        assert summed_up(record, (listed,), SYSTEM_ID, {"tonight's"}, now=NOW).doubts == ()
    for before in (unarchived(), checked(BackupRecord(), error="it is damaged")):
        assert checked(before, error="it does not start", is_found_bad=False, may_lack_wal=True).doubts == before.doubts


def test_a_check_that_fails_makes_no_backup_due_before_the_next_time() -> None:
    made, listed = made_by(timedelta())
    record = checked(made, error="it does not start")
    assert due_work(record, NIGHTLY, (listed,), now=NOW, system_id=SYSTEM_ID) is None


def test_what_rests_on_a_damaged_one_is_in_doubt_with_it_but_not_for_wal_that_it_does_not_need() -> None:
    chain = (backup("base", 3), backup("mid", 2, parent="base"), backup("top", 1, parent="mid"), backup("other", 0))
    assert in_doubt(BackupRecord(doubts=(Doubt(backup="base"),)), chain) == {"base", "mid", "top"}
    assert in_doubt(BackupRecord(doubts=(Doubt(backup="base", lacks=(WAL,)),)), chain) == {"base"}
    assert in_doubt(BackupRecord(doubts=(Doubt(backup="base", is_unknown=True),)), chain) == {"base"}
    assert in_doubt(BackupRecord(doubts=(Doubt(backup="base"),), verified=(("top", NOW),)), chain) == {"base", "mid"}


def test_the_newest_good_one_is_verified_by_its_own_schedule_by_restoring_it() -> None:
    policy = BackupPolicy(verify=Schedule(expression="0 6 * * *"))
    found = due_work(BackupRecord(), policy, FRESH, now=NOW, system_id=SYSTEM_ID)
    assert found is not None
    assert (found.work, found.backup, found.restores) == (BackupWork.VERIFY, "fresh", True)
    assert due_work(BackupRecord(), policy, (), now=NOW, system_id=SYSTEM_ID) is None
    checked = BackupRecord(verified=(("fresh", NOW - timedelta(hours=1)),))
    assert due_work(checked, policy, FRESH, now=NOW, system_id=SYSTEM_ID) is None


def test_what_nobody_needs_is_removed_and_a_failure_to_is_not_repeated_at_once() -> None:
    policy = BackupPolicy(retention=Retention(min_count=1))
    found = due_work(BackupRecord(), policy, FRESH, now=NOW, system_id=SYSTEM_ID)
    assert found is not None
    assert (found.work, found.remove) == (BackupWork.EXPIRE, ("old",))
    failed = BackupRecord(results=(result(BackupWork.EXPIRE, hours_ago=0.05, error="x", failures=1),))
    assert due_work(failed, policy, FRESH, now=NOW, system_id=SYSTEM_ID) is None
    later = BackupRecord(results=(result(BackupWork.EXPIRE, hours_ago=2, error="x", failures=9),))
    assert due_work(later, policy, FRESH, now=NOW, system_id=SYSTEM_ID) is not None


def test_where_backups_are_verified_nothing_goes_before_a_newer_one_was() -> None:
    policy = BackupPolicy(retention=Retention(min_count=1), verify=Schedule(expression="0 6 1 1 *"))
    record = BackupRecord(verified=(("old", NOW),))
    assert due_work(record, policy, FRESH, now=NOW, system_id=SYSTEM_ID) is None
    assert due_work(BackupRecord(verified=(("fresh", NOW),)), policy, FRESH, now=NOW, system_id=SYSTEM_ID) is not None


@pytest.mark.parametrize(
    ("prefer", "names"), [(Prefer.STANDBY, ("c", "a", "b")), (Prefer.PRIMARY, ("b",)), (Prefer.STANDBY_ONLY, ("c", "a"))]
)
def test_streaming_standbys_come_by_their_position_and_the_leader_last(prefer: Prefer, names: tuple[str, ...]) -> None:
    members = (member("a", **STREAMING, lsn=Lsn(5)), member("b", role="primary"), member("c", **STREAMING, lsn=Lsn(9)))
    assert places(cluster("b", members=members), prefer) == names


def test_a_standby_that_is_meant_to_be_copied_from_comes_first_and_one_that_does_not_stream_not_at_all() -> None:
    members = (
        member("a", **STREAMING, lsn=Lsn(5), tags=Tags(clonefrom=True)),
        member("c", **STREAMING, lsn=Lsn(9)),
        member("d", replication_state="in archive recovery"),
        member("e", **STREAMING, state="stopped"),
        member("f", **STREAMING, hacore_version=None),  # another product's: it does not know what a task is
    )
    assert places(cluster("b", members=members), Prefer.STANDBY_ONLY) == ("a", "c")


def test_a_task_that_nobody_takes_goes_round_and_fails_at_last() -> None:
    view = cluster("b", members=(member("a", **STREAMING), member("b", role="primary")))
    record = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=NOW)
    second = passed_on(record, view, Prefer.STANDBY, token=2, now=NOW)
    assert second.task is not None
    assert (second.task.member, second.task.token, second.task.tried) == ("b", 2, ("a",))
    last = passed_on(second, view, Prefer.STANDBY, token=2, now=NOW)
    assert last.task is None
    assert "none of a, b took it" in str(last.result(BackupWork.BACKUP))
    assert passed_on(BackupRecord(), view, Prefer.STANDBY, token=2, now=NOW) == BackupRecord()


def test_failures_are_counted_until_one_is_good() -> None:
    record = BackupRecord()
    for number in (1, 2):
        record = abandoned(
            begun(record, Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=NOW), now=NOW, error="x"
        )
        assert [one.failures for one in record.results] == [number]
    good = record.ended(result(BackupWork.BACKUP, hours_ago=0))
    assert [one.failures for one in good.results] == [0]


def test_what_a_person_ends_is_not_begun_again_by_itself() -> None:
    record = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="a", token=1, now=NOW)
    ended = abandoned(record, now=NOW, error="cancelled", is_final=True)
    assert due_work(ended, NIGHTLY, (), now=NOW + timedelta(hours=2), system_id=SYSTEM_ID) is None


def test_a_check_is_remembered_by_backup_and_forgotten_with_it_or_when_it_fails() -> None:
    good = replace(result(BackupWork.VERIFY, hours_ago=1), backup="fresh")
    record = BackupRecord().ended(good)
    assert [name for name, _ in record.verified] == ["fresh"]
    assert summed_up(record, FRESH, SYSTEM_ID, now=NOW).verified == record.verified
    assert summed_up(record, FRESH[:1], SYSTEM_ID, now=NOW).verified == ()
    assert record.ended(replace(good, error="it is damaged", is_found_bad=True)).verified == ()


def test_the_list_is_summed_up_for_everybody() -> None:
    others = (replace(backup("foreign", 9), system_id="1"), backup("of a clock that ran ahead", -30))
    found = summed_up(BackupRecord(), (*FRESH, *others), SYSTEM_ID, now=NOW)
    assert (found.newest_good, found.window_start, found.listed) == (FRESH[1].stopped_at, FRESH[0].stopped_at, 2)


def test_what_leads_elsewhere_is_nothing_to_make_an_increment_of() -> None:
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(0x4000000)),))
    led = replace(backup("led", 3), timeline=1, stop_lsn=Lsn(0x3000000))
    lost = replace(backup("lost", 2), timeline=1, stop_lsn=Lsn(0x5000000))
    anew = replace(backup("anew", 1), timeline=2, stop_lsn=Lsn(0x5000000))
    assert kind_to_make(BackupKind.AUTO, (), history) is BackupKind.AUTO
    assert kind_to_make(BackupKind.AUTO, (led,), history) is BackupKind.AUTO
    assert kind_to_make(BackupKind.INCREMENTAL, (led, lost), history) is BackupKind.FULL
    assert kind_to_make(BackupKind.INCREMENTAL, (led, lost, anew), history) is BackupKind.INCREMENTAL
    assert kind_to_make(BackupKind.AUTO, (lost,), None) is BackupKind.AUTO


def test_no_increment_is_made_of_what_was_found_bad_or_rests_on_that() -> None:
    full, increment = backup("full", 3), backup("increment", 2, kind=BackupKind.INCREMENTAL, parent="full")
    anew = backup("anew", 1)
    record = BackupRecord(doubts=(Doubt(backup="full"), Doubt(backup="increment", lacks=(WAL,)), Doubt(backup="unknown", is_unknown=True)))
    assert record.found_bad == {"full"}  # what lacks WAL has all its files
    for backups in ((full,), (full, increment)):
        assert kind_to_make(BackupKind.AUTO, backups, None, record.found_bad) is BackupKind.FULL
        assert kind_to_make(BackupKind.INCREMENTAL, backups, None, record.found_bad) is BackupKind.FULL
    assert kind_to_make(BackupKind.INCREMENTAL, (full, increment, anew), None, record.found_bad) is BackupKind.INCREMENTAL
