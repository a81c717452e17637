"""What is told of the archive, and when nothing is."""

from dataclasses import replace

from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.publish.archive_events import ArchiveTold, tell_of_archive
from tests.unit.decide import worlds as w

WELL = ArchiveState(name="walg", identity=ArchiveIdentity.OWN, is_watched=True)
FAILING = replace(WELL, fault="push of x ended with 1")
FOREIGN = replace(WELL, identity=ArchiveIdentity.CONFLICT, owner="other", fault="WAL is kept: ...")


def told(*states: ArchiveState | None) -> list[tuple[str, dict[str, str | int]]]:
    memory, found = ArchiveTold(), []
    for state in states:
        memory, happening = tell_of_archive(memory, w.world(node=w.primary(archive=state), lease=w.lease()))
        if happening is not None:
            found.append((str(happening.kind), dict(happening.data)))
    return found


def test_an_archive_that_is_well_is_no_news() -> None:
    assert told(None, WELL, WELL) == []


def test_a_fault_is_told_once_and_so_is_its_end() -> None:
    assert told(WELL, FAILING, replace(FAILING, fault="another word"), WELL, WELL) == [
        ("archive_failing", {"archive": "walg", "error": "push of x ended with 1"}),
        ("archive_recovered", {"archive": "walg"}),
    ]


def test_a_conflict_is_told_with_its_owner_and_again_for_another() -> None:
    assert told(FOREIGN, FOREIGN, replace(FOREIGN, owner="third"), WELL) == [
        ("archive_conflict", {"archive": "walg", "owner": "other"}),
        ("archive_conflict", {"archive": "walg", "owner": "third"}),
        ("archive_recovered", {"archive": "walg"}),
    ]


def test_a_node_that_is_no_primary_any_more_tells_of_no_recovery() -> None:
    assert told(FAILING, replace(WELL, is_watched=False), None)[1:] == []
