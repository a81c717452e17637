from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hacore.backup.choice import Chosen, NoneFits, choose
from hacore.backup.target import parse_target
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup

OLD, MIDDLE, NEW = backup("old", 3), backup("middle", 2), backup("new", 1)
ALL = (NEW, OLD, MIDDLE)


def at(days_ago: float) -> str:
    return (NOW - timedelta(days=days_ago)).isoformat()


def chosen(backups: tuple[Backup, ...], to: str = "latest", timeline: str = "latest", **options: Any) -> str:
    found = choose(backups, parse_target(to, timeline=timeline), **options)
    assert isinstance(found, Chosen), found
    return found.backup.id


def refused(backups: tuple[Backup, ...], to: str = "latest", timeline: str = "latest", **options: Any) -> NoneFits:
    found = choose(backups, parse_target(to, timeline=timeline), **options)
    assert isinstance(found, NoneFits), found
    return found


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("latest", "new"),
        ("immediate", "new"),
        (at(0.5), "new"),
        (at(1.5), "middle"),
        (at(2.5), "old"),
        (f"{NEW.stop_lsn}", "new"),
        (f"{Lsn((NEW.stop_lsn or 0) - 1)}", "middle"),
    ],
)
def test_the_newest_that_ended_before_the_target_is_chosen(to: str, name: str) -> None:
    assert chosen(ALL, to) == name


def test_one_that_ended_at_the_very_target_is_too_late() -> None:
    assert chosen(ALL, at(1)) == "middle"


def test_a_target_before_every_backup_is_refused_with_the_first_that_is_possible() -> None:
    no = refused(ALL, at(3.5))
    assert (no.earliest_time, no.earliest_lsn) == (OLD.stopped_at, OLD.stop_lsn)
    assert (OLD.stopped_at or NOW).isoformat() in str(no)


def test_a_time_that_has_yet_to_come_is_refused() -> None:
    assert "yet to come" in refused(ALL, at(-1), now=NOW).reason


@pytest.mark.parametrize("state", [BackupState.RUNNING, BackupState.FAILED])
def test_only_a_good_one_is_chosen(state: BackupState) -> None:
    assert chosen((OLD, replace(NEW, state=state))) == "old"


def test_one_without_a_known_end_is_no_proof_for_a_time() -> None:
    assert chosen((OLD, replace(NEW, stopped_at=None)), at(0.5)) == "old"


def test_one_whose_parent_is_lost_or_bad_is_no_good() -> None:
    child = replace(NEW, kind=BackupKind.INCREMENTAL, parent="middle")
    assert chosen((OLD, MIDDLE, child)) == "new"
    assert chosen((OLD, child)) == "old"
    assert chosen((OLD, replace(MIDDLE, state=BackupState.FAILED), child)) == "old"


def test_the_room_is_that_of_everything_it_rests_on() -> None:
    first, second = replace(MIDDLE, size_bytes=100), replace(NEW, kind=BackupKind.INCREMENTAL, parent="middle", size_bytes=1)
    for backups, room_bytes in (((first, second), 101), ((replace(first, size_bytes=None), second), None)):
        found = choose(backups, parse_target("latest"))
        assert isinstance(found, Chosen)
        assert (found.backup.id, found.room_bytes) == ("new", room_bytes)


def test_parents_in_a_ring_are_no_good() -> None:
    assert "no good backup" in refused((replace(OLD, parent="new"), replace(NEW, parent="old"))).reason


def test_those_of_another_cluster_do_not_count() -> None:
    foreign = replace(NEW, system_id="1")
    assert chosen((OLD, foreign), system_id=SYSTEM_ID) == "old"
    assert "another cluster" in refused((foreign,), system_id=SYSTEM_ID).reason


def test_one_after_the_point_where_its_timeline_was_left_is_on_no_way_to_the_target() -> None:
    left = Lsn((MIDDLE.stop_lsn or 0) + 100)
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=left),))
    assert chosen(ALL, history=history) == "middle"
    assert chosen(ALL, timeline="1", history=history) == "new"  # the abandoned branch, where a person asks for it
    assert chosen(ALL, timeline="current", history=history) == "new"


def test_one_of_a_timeline_that_is_no_ancestor_is_refused() -> None:
    history = TimelineHistory(timeline=3, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(1)),))
    assert "no good backup for timeline" in refused((replace(NEW, timeline=2),), history=history).reason


def test_without_a_history_every_timeline_counts_and_that_is_said() -> None:
    found = choose((replace(NEW, timeline=9),), parse_target("latest"))
    assert isinstance(found, Chosen)
    assert found.remarks


def test_a_numbered_timeline_is_its_own_way() -> None:
    assert chosen((OLD, replace(NEW, timeline=5)), timeline="5") == "new"
    assert "timeline 6" in refused((OLD, replace(NEW, timeline=5)), timeline="6").reason


@pytest.mark.parametrize("to", ["xid:731", "name:release"])
def test_of_several_none_is_guessed_where_nobody_can_tell(to: str) -> None:
    assert "name one" in refused(ALL, to).reason
    assert chosen(ALL, to, named="old") == "old"
    assert chosen((OLD,), to) == "old"


def test_a_named_one_must_be_good_and_before_the_target() -> None:
    assert chosen(ALL, at(0.5), named="old") == "old"
    assert "not in the list" in refused(ALL, named="x").reason
    assert "not a good one" in refused((OLD, replace(NEW, state=BackupState.FAILED)), named="new").reason
    assert "not done before" in refused(ALL, at(2.5), named="new").reason


def test_one_in_doubt_is_chosen_where_no_other_leads_there_or_where_it_is_named_and_that_is_said() -> None:
    def found(doubted: set[str], **options: Any) -> tuple[str, bool]:
        one = choose(ALL, parse_target(at(1.5)), doubted=doubted, **options)
        assert isinstance(one, Chosen), one
        return one.backup.id, "in doubt" in " ".join(one.remarks)

    assert found({"new"}) == ("middle", False)
    assert found({"middle"}) == ("old", False)
    assert found({"middle", "old"}) == ("middle", True)
    assert found({"middle"}, named="middle") == ("middle", True)
    assert "name one" in refused(ALL, "xid:731", doubted={"new", "old"}).reason
    rests = (OLD, replace(NEW, parent="old"))
    assert chosen(rests, doubted={"old"}) == "new", "what rests on one that lacks WAL alone needs only its files"


def test_an_empty_list_is_a_refusal() -> None:
    assert refused(()).earliest_time is None
