"""When a standby is better made of a backup."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Backup, BackupKind, BackupState, Offer, Refusal
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.testing.conformance.plugin import CONTEXT

MIB = 1 << 20
START = Lsn(1 << 32)
BACKUP = Backup(
    id="first",
    stopped_at=datetime(2026, 8, 1, tzinfo=UTC),
    start_lsn=START,
    stop_lsn=Lsn(START + 1000),
    timeline=1,
    system_id="7",
    major_version=15,
    size_bytes=1000 * MIB,
)
LATER = replace(BACKUP, id="later", start_lsn=Lsn(2 << 32), stop_lsn=Lsn((2 << 32) + 1000))


def request(behind_mib: int = 10, **more: Any) -> ReplicaRequest:
    usual = {"context": CONTEXT, "method": "tool", "data_dir": "/data", "source": None, "system_id": "7", "major_version": 15}
    return ReplicaRequest(**{**usual, "leader_lsn": Lsn(START + behind_mib * MIB), **more})


def offered(*backups: Backup, asked: ReplicaRequest | None = None, megabytes: int = 10240, percent: int = 30) -> Offer | Refusal:
    return (asked or request()).offer_of(backups, most_megabytes=megabytes, most_percent=percent)


def test_the_newest_backup_is_offered_with_the_wal_since() -> None:
    found = offered(BACKUP)
    assert isinstance(found, Offer)
    assert (found.backup_id, found.wal_bytes, found.size_bytes, found.timeline) == (BACKUP.id, 10 * MIB, 1000 * MIB, 1)


def test_both_thresholds_count() -> None:
    assert isinstance(offered(BACKUP, asked=request(300)), Offer)
    assert isinstance(offered(BACKUP, asked=request(301)), Refusal)  # 30 % of its size
    assert isinstance(offered(BACKUP, asked=request(301), percent=40), Offer)
    assert isinstance(offered(BACKUP, asked=request(301), percent=40, megabytes=300), Refusal)


def test_the_limit_of_the_settings_is_the_one_that_the_core_holds_it_to() -> None:
    found = offered(BACKUP, percent=500, megabytes=20000)
    assert isinstance(found, Offer)
    assert found.wal_limit_bytes == 5000 * MIB


def test_the_size_of_an_increment_is_no_measure() -> None:
    delta = replace(BACKUP, kind=BackupKind.INCREMENTAL, parent="whole", size_bytes=MIB)
    assert isinstance(offered(delta, asked=request(300)), Offer)


def test_positions_are_compared_across_logs() -> None:
    far = replace(BACKUP, start_lsn=Lsn.parse("0/FFFFFF00"), size_bytes=1000 * MIB)
    found = offered(far, asked=request(leader_lsn=Lsn.parse("1/100")))
    assert isinstance(found, Offer)
    assert found.wal_bytes == 0x200


def test_without_a_backup_there_is_no_offer() -> None:
    assert isinstance(offered(), Refusal)


def test_another_clusters_backup_is_passed_over() -> None:
    assert isinstance(offered(replace(BACKUP, system_id="8")), Refusal)
    assert isinstance(offered(replace(BACKUP, system_id=None)), Offer)


def test_a_backup_of_another_major_version_is_passed_over() -> None:
    assert isinstance(offered(replace(BACKUP, major_version=14)), Refusal)


def test_a_backup_of_a_history_that_was_left_is_passed_over() -> None:
    switched = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(START + 5000)),))
    asked = request(leader_history=switched, leader_lsn=Lsn(START + 10 * MIB))
    found = offered(BACKUP, LATER, asked=asked)  # the later one was made on timeline 1 after the switch
    assert isinstance(found, Offer)
    assert found.backup_id == BACKUP.id
    assert isinstance(offered(replace(BACKUP, timeline=3), asked=asked), Refusal)
    assert isinstance(offered(replace(LATER, stop_lsn=None), asked=asked), Refusal)  # it began after the switch


def test_what_is_not_good_is_passed_over() -> None:
    found = offered(BACKUP, replace(LATER, state=BackupState.RUNNING))
    assert isinstance(found, Offer)
    assert found.backup_id == BACKUP.id
    assert isinstance(offered(replace(BACKUP, state=BackupState.FAILED)), Refusal)
