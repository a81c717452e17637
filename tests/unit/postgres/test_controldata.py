import pytest

from hacore.errors import DataDirectoryError
from hacore.model.lsn import Lsn
from hacore.postgres.controldata import parse_controldata

TEXT = """pg_control version number:            1300
Database system identifier:           7710469160372854374
Database cluster state:               in archive recovery
pg_control last modified:             Sat Nov 21 03:58:18 2026
Latest checkpoint location:           0/1500718
Latest checkpoint's REDO location:    0/15006E0
Latest checkpoint's TimeLineID:       3
Minimum recovery ending location:     0/2500000
Min recovery ending loc's timeline:   3
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Bytes per WAL segment:                16777216
Data page checksum version:           1
"""


def test_the_facts_of_the_control_file_are_read() -> None:
    found = parse_controldata(TEXT, 15)
    control = found.control
    assert (control.system_id, control.state, control.timeline, control.major_version) == (
        "7710469160372854374",
        "in archive recovery",
        3,
        15,
    )
    assert (control.checkpoint_lsn, control.redo_lsn) == (Lsn(0x1500718), Lsn(0x15006E0))
    assert (control.min_recovery_lsn, control.min_recovery_timeline) == (Lsn(0x2500000), 3)
    assert control.data_checksums
    assert control.wal_log_hints
    assert found.limits == {
        "max_connections": 100,
        "max_worker_processes": 8,
        "max_wal_senders": 10,
        "max_prepared_transactions": 0,
        "max_locks_per_transaction": 64,
    }


def test_no_recovery_means_no_minimum() -> None:
    control = parse_controldata(TEXT.replace("0/2500000", "0/0").replace("timeline:   3", "timeline:   0"), 15).control
    assert (control.min_recovery_lsn, control.min_recovery_timeline) == (None, None)


@pytest.mark.parametrize("text", ["", TEXT.replace("0/1500718", "nowhere"), TEXT.replace("Database system identifier", "Datenbank")])
def test_an_answer_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(DataDirectoryError):
        parse_controldata(text, 15)
