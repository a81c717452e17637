from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hacore.model.backups import BackupRecord, BackupResult, BackupWork
from hacore.model.events import EventKind
from hacore.model.world import World
from hacore.publish.backup_events import tell_of_backups
from tests.unit.decide.worlds import cluster, leading, world

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
GOOD = BackupResult(id="t", work=BackupWork.BACKUP, member="a", began_at=AT - timedelta(seconds=90), ended_at=AT, backup="b1")
BAD = replace(GOOD, id="u", error="the bucket is full", failures=2)


def seen(base: World, *results: BackupResult, name: str = "b") -> World:
    return replace(base, cluster=replace(base.cluster or cluster(name), backups=BackupRecord(results=results)))


def test_what_stands_already_is_not_news() -> None:
    told, happenings = tell_of_backups(None, seen(world(), GOOD))
    assert (told, happenings) == ((GOOD,), ())


def test_the_member_that_worked_tells_it_once() -> None:
    told, (happening,) = tell_of_backups((), seen(world(), GOOD))
    assert happening.kind is EventKind.BACKUP_COMPLETED
    assert dict(happening.data) == {"work": "backup", "backup": "b1", "on": "a", "took_s": 90, "detail": ""}
    assert tell_of_backups(told, seen(world(), GOOD)) == (told, ())


def test_a_failure_is_told_with_its_reason_and_how_often() -> None:
    _, (happening,) = tell_of_backups((GOOD,), seen(world(), BAD))
    assert happening.kind is EventKind.BACKUP_FAILED
    assert (dict(happening.data)["error"], dict(happening.data)["failures"]) == ("the bucket is full", 2)


def test_others_leave_it_to_that_member_but_of_one_that_has_gone_the_leader_tells() -> None:
    elsewhere, gone = replace(GOOD, member="c"), replace(BAD, member="z")
    assert tell_of_backups((), seen(leading(), elsewhere))[1] == ()
    assert tell_of_backups((), seen(world(), gone))[1] == ()
    assert len(tell_of_backups((), seen(leading(), gone))[1]) == 1


def test_a_store_that_is_away_changes_nothing() -> None:
    assert tell_of_backups((GOOD,), replace(world(), cluster=None)) == ((GOOD,), ())
