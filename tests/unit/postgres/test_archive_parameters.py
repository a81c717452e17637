"""What the server is told of its archive, and whose word counts."""

from dataclasses import replace

import pytest

from hacore.model.node import Upstream
from hacore.postgres.archive_parameters import ArchivePart, ArchiveWanted, archive_part, overruled
from hacore.postgres.parameters import make_plan, recovery_settings
from hacore.postgres.programs import KnownParameter
from tests.unit.postgres.samples import settings

SAMPLE = settings("/data/a")
WANTED = ArchiveWanted(archive_command="exec push", restore_command="exec fetch")
NAMES = ("archive_mode", "archive_command", "archive_timeout", "restore_command", "wal_retrieve_retry_interval", "wal_compression")
OLD = {name: KnownParameter(name=name, kind="STRING", context="SIGHUP") for name in (*NAMES, *SAMPLE.parameters)}
NEW = {**OLD, "archive_library": KnownParameter(name="archive_library", kind="STRING", context="SIGHUP")}


def test_mode_and_commands_are_set_together() -> None:
    part = archive_part(SAMPLE, WANTED, base={}, known=OLD)
    assert part.normal == {"archive_mode": "on", "archive_command": "exec push", "archive_timeout": "300s"}
    assert part.recovery == {"restore_command": "exec fetch", "wal_retrieve_retry_interval": "1s"}
    assert not part.warnings


def test_a_library_takes_the_place_of_the_command_where_the_server_knows_libraries() -> None:
    wanted = replace(WANTED, library="walg_archive")
    found = archive_part(SAMPLE, wanted, base={}, known=NEW).normal
    assert (found["archive_library"], found["archive_command"]) == ("walg_archive", "")
    assert archive_part(SAMPLE, wanted, base={}, known=OLD).normal["archive_command"] == "exec push"


def test_a_library_of_a_person_does_not_stand_beside_our_command() -> None:
    """PostgreSQL 16 refuses both."""
    found = archive_part(SAMPLE, WANTED, base={"archive_library": "basic_archive"}, known=NEW)
    assert (found.normal["archive_library"], found.normal["archive_command"]) == ("", "exec push")
    assert "archive_library" in found.warnings[0]


@pytest.mark.parametrize("where", ["base", "parameters"])
def test_a_timeout_that_somebody_has_set_stays(where: str) -> None:
    base = {"archive_timeout": "7"} if where == "base" else {}
    sample = replace(SAMPLE, parameters={**SAMPLE.parameters, "archive_timeout": "7"}) if where == "parameters" else SAMPLE
    assert "archive_timeout" not in archive_part(sample, WANTED, base=base, known=OLD).normal


def test_further_settings_of_the_plugin_count_where_nobody_has_set_them() -> None:
    wanted = replace(WANTED, parameters=(("archive_timeout", "17"), ("wal_compression", "on"), ("wal_level", "minimal"), ("port", "1")))
    part = archive_part(SAMPLE, wanted, base={"wal_compression": "off"}, known=OLD)
    assert part.normal["archive_timeout"] == "17"
    assert not {"wal_compression", "wal_level", "port"} & part.normal.keys()
    assert [warning.partition(":")[0] for warning in part.warnings] == ["wal_level", "port"]


def test_a_retry_interval_of_a_person_stays() -> None:
    sample = replace(SAMPLE, recovery_conf={"wal_retrieve_retry_interval": "9s"})
    assert "wal_retrieve_retry_interval" not in archive_part(sample, WANTED, base={}, known=OLD).recovery


def test_while_the_plugin_has_never_said_how_to_fetch_nothing_is_fetched() -> None:
    assert archive_part(SAMPLE, replace(WANTED, restore_command=None), base={}, known=OLD).recovery == {}


def test_what_the_plugin_takes_the_place_of_is_said_with_its_place() -> None:
    sample = replace(SAMPLE, parameters={"archive_command": "cp"}, recovery_conf={"restore_command": "cp back"})
    said = overruled(sample, {"archive_mode": "always", "archive_command": "(disabled)"})
    assert [sentence.split(":")[0] for sentence in said] == ["archive_command", "restore_command", "archive_mode"]
    assert "postgresql.parameters" in said[0]
    assert overruled(replace(SAMPLE, parameters={"archive_mode": "on"}), {"archive_command": ""}) == ()


def test_the_plugin_wins_over_commands_of_a_person() -> None:
    sample = replace(
        SAMPLE,
        parameters={**SAMPLE.parameters, "archive_command": "cp", "archive_mode": "always", "restore_command": "cp"},
        recovery_conf={"restore_command": "cp back"},
    )
    part = archive_part(sample, WANTED, base={}, known=OLD)
    usual = recovery_settings(sample, Upstream(member=None), major=15, passfile="/p")
    plan = make_plan(sample, known=OLD, recovery={**usual, **part.recovery}, archive=part)
    assert (plan.normal["archive_mode"], plan.normal["archive_command"]) == ("on", "exec push")
    assert plan.recovery["restore_command"] == "exec fetch"
    assert set(part.warnings) <= set(plan.warnings)


def test_without_a_plugin_everything_of_a_person_is_left_alone() -> None:
    sample = replace(SAMPLE, parameters={"archive_command": "cp", "archive_mode": "always"})
    plan = make_plan(sample, known=OLD, recovery={})
    assert (plan.normal["archive_mode"], plan.normal["archive_command"]) == ("always", "cp")
    assert ArchivePart() == ArchivePart(normal={}, recovery={}, warnings=())
