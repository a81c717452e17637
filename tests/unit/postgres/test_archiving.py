"""The programs on the disk follow what the plugin says, and stay where it says nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from hacore.errors import DataDirectoryError, PluginUnavailableError
from hacore.interfaces import ArchiveSettings
from hacore.postgres.archiving import ArchiveOrder, Archiving
from hacore.postgres.layout import Layout
from tests.unit.decide.worlds import control

SETTINGS = ArchiveSettings(push=("/bin/push", "%p"), fetch=("/bin/fetch", "%f", "%p"), missing_codes=(1,), library="walg")


class Plugin:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.order: ArchiveOrder | None = ArchiveOrder(settings=SETTINGS)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, system_id: str, major_version: int) -> ArchiveOrder:
        self.asked.append((system_id, major_version))
        if self.order is None:
            raise PluginUnavailableError("nothing to say")
        return self.order


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def archiving(tmp_path: Path, plugin: Plugin) -> Archiving:
    found = Archiving(Layout(data_dir=tmp_path / "data", config_dir=tmp_path / "data", state_dir=tmp_path / "state"))
    found.use(plugin)
    return found


def text(tmp_path: Path, program: str) -> str:
    return (tmp_path / "state" / "archive" / program).read_text()


def test_without_a_plugin_nothing_is_written(tmp_path: Path, archiving: Archiving) -> None:
    archiving.use(None)
    assert archiving.write(control()) is None
    assert archiving.shim(control()) is None
    assert not (tmp_path / "state").exists()


def test_the_programs_are_of_the_data_directory_that_the_plugin_was_asked_for(tmp_path: Path, archiving: Archiving, plugin: Plugin) -> None:
    wanted = archiving.write(control(major_version=15, wal_segment_bytes=1 << 20))
    assert wanted is not None
    assert wanted.library == "walg"
    assert plugin.asked == [(control().system_id, 15)]
    assert "/bin/push" in text(tmp_path, "push")
    assert "segment=1048576" in text(tmp_path, "fetch")


def test_a_held_archive_has_no_library_and_a_program_that_says_why(tmp_path: Path, archiving: Archiving, plugin: Plugin) -> None:
    plugin.order = ArchiveOrder(settings=SETTINGS, held="not ours")
    wanted = archiving.write(control())
    assert wanted is not None
    assert wanted.library is None
    assert "not ours" in text(tmp_path, "push")
    assert "/bin/fetch" in text(tmp_path, "fetch")
    plugin.order = ArchiveOrder(settings=SETTINGS)
    archiving.write(control())
    assert "/bin/push" in text(tmp_path, "push")


def test_a_plugin_that_stops_answering_changes_nothing(archiving: Archiving, plugin: Plugin) -> None:
    before = archiving.write(control())
    plugin.order = None
    assert archiving.write(control()) == before


def test_a_fresh_agent_whose_plugin_does_not_answer_goes_on_with_the_programs_that_are_there(
    tmp_path: Path, archiving: Archiving, plugin: Plugin
) -> None:
    before = archiving.write(control())
    assert before is not None
    plugin.order = None
    archiving.use(plugin)
    found = archiving.write(control())
    assert found is not None
    assert (found.archive_command, found.restore_command) == (before.archive_command, before.restore_command)
    assert "/bin/push" in text(tmp_path, "push")


def test_a_plugin_that_has_never_answered_keeps_all_wal(tmp_path: Path, archiving: Archiving, plugin: Plugin) -> None:
    plugin.order = None
    found = archiving.write(control())
    assert found is not None
    assert found.restore_command is None
    assert "not archived" in text(tmp_path, "push")


def test_the_program_of_a_former_life_pushes_nothing_where_the_plugin_does_not_answer(
    tmp_path: Path, archiving: Archiving, plugin: Plugin
) -> None:
    archiving.write(control())
    archiving.forget()
    plugin.order = None
    assert archiving.write(control()) is not None
    assert "not archived" in text(tmp_path, "push")
    assert "/bin/push" not in text(tmp_path, "push")
    plugin.order = ArchiveOrder(settings=SETTINGS)
    archiving.write(control())
    assert "/bin/push" in text(tmp_path, "push")


def test_settings_that_cannot_be_a_program_keep_what_was_there(tmp_path: Path, archiving: Archiving, plugin: Plugin) -> None:
    archiving.write(control())
    plugin.order = ArchiveOrder(settings=replace(SETTINGS, missing_codes=(0,), push=("/bin/other",)))
    assert archiving.write(control()) is not None
    assert "/bin/push" in text(tmp_path, "push")


def test_a_disk_that_takes_no_programs_is_said(tmp_path: Path, archiving: Archiving) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(DataDirectoryError, match="programs of the archive"):
        archiving.write(control())
