from typing import Any

import pytest

from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Retention
from hacore.config.backups import read_backup
from hacore.config.dynamic import faults, unknown
from hacore.config.keys import Reading
from hacore.interfaces import BackupKind

WHOLE: dict[str, Any] = {
    "schedule": "0 3 * * *",
    "timezone": "Europe/Berlin",
    "jitter": "10min",
    "kind": "incr",
    "prefer": "standby_only",
    "max_duration": "6h",
    "retention": {"min_count": 3, "min_age": "7d", "max_age": "30d"},
    "verify": "0 12 * * sun",
}


def read(section: object) -> BackupPolicy:
    return read_backup({"backup": section}, Reading({}), scope="demo")


def test_every_key_is_read() -> None:
    found = read(WHOLE)
    assert found.schedule is not None
    assert (found.schedule.expression, found.schedule.timezone, found.schedule.jitter_s) == ("0 3 * * *", "Europe/Berlin", 600)
    assert found.verify is not None
    assert found.verify.expression == "0 12 * * sun"
    assert (found.kind, found.prefer, found.max_duration_s) == (BackupKind.INCREMENTAL, Prefer.STANDBY_ONLY, 21600)
    assert found.retention == Retention(min_count=3, min_age_s=7 * 86400, max_age_s=30 * 86400)


def test_nothing_is_scheduled_and_nothing_expires_by_default() -> None:
    assert read({}) == read(None) == BackupPolicy()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schedule": "soon"}, "hacore.backup.schedule"),
        ({"schedule": "0 0 31 2 *"}, "hacore.backup.schedule"),
        ({"timezone": "Mars/Olympus"}, "hacore.backup.timezone"),
        ({"jitter": "x"}, "hacore.backup.jitter"),
        ({"kind": "half"}, "hacore.backup.kind"),
        ({"prefer": "anywhere"}, "hacore.backup.prefer"),
        ({"max_duration": -1}, "hacore.backup.max_duration"),
        ({"retention": 7}, "hacore.backup.retention"),
        ({"retention": {"min_count": 0}}, "hacore.backup.retention.min_count"),
        ({"retention": {"min_age": "x"}}, "hacore.backup.retention.min_age"),
        ({"retention": {"min_age": 14}}, "hacore.backup.retention.min_age"),  # days are meant: as seconds everything would go
        ({"retention": {"max_age": "30"}}, "hacore.backup.retention.max_age"),
        ({"retention": {"max_age": []}}, "hacore.backup.retention.max_age"),
        ({"verify": "* * *"}, "hacore.backup.verify"),
    ],
)
def test_a_wrong_value_is_a_fault_with_its_place(change: dict[str, Any], path: str) -> None:
    assert [fault.path for fault in faults({"hacore": {"backup": {**WHOLE, **change}}})] == [path]


def test_where_one_number_of_the_retention_cannot_be_read_nothing_expires() -> None:
    assert read({"retention": {"min_count": 1, "min_age": "x"}}).retention is None


def test_a_misspelt_key_is_said_with_the_right_one() -> None:
    found = unknown({"hacore": {"backup": {"shedule": "0 3 * * *", "retention": {"min_cuont": 1}}}})
    assert [(one.path, one.suggestion) for one in found] == [
        ("hacore.backup.shedule", "schedule"),
        ("hacore.backup.retention.min_cuont", "min_count"),
    ]
