"""What a backup plugin answers, and what is made of it when it is no answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from hacore.errors import DataDirectoryError, PluginUnavailableError
from hacore.hookspecs import BackupSite, ListBackups, RestoreRequest, hookimpl
from hacore.interfaces import Failed, Restored
from hacore.plugins.backup import list_backups, restore_backup
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from tests.unit.backup.backups import backup
from tests.unit.plugins.making import CONTEXT, plugin

SITE = BackupSite(context=CONTEXT)
ONE = backup("one")
NO_ZONE = datetime.fromisoformat("2026-05-04T03:02:01")


class Tool:
    """Answers as it is told."""

    def __init__(self, listed: object = (), restored: object = None) -> None:
        self._listed, self._restored = listed, restored

    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> object:
        return self._listed

    @hookimpl
    def hacore_restore(self, request: RestoreRequest, job: object) -> object:
        return self._restored


@contextmanager
def built(tool: Tool) -> Iterator[Plugin]:
    found = plugin(tool, name="plain", kind="backup")
    try:
        yield found
    finally:
        found.calls.end()


def test_a_list_is_what_the_tool_has() -> None:
    with built(Tool([ONE])) as found:
        assert list_backups(found, SITE) == (ONE,)
    with built(Tool([])) as found:
        assert list_backups(found, SITE) == ()


@pytest.mark.parametrize(
    "listed",
    [None, 7, ["one"], [ONE, None], [replace(ONE, stopped_at=NO_ZONE)], [replace(ONE, started_at=NO_ZONE)]],
)
def test_what_is_no_list_of_backups_is_not_taken_for_an_empty_one(listed: object) -> None:
    with built(Tool(listed)) as found, pytest.raises(PluginUnavailableError):
        list_backups(found, SITE)


@pytest.mark.parametrize(("outcome", "said"), [(Failed(reason="no space"), "plain: no space"), (None, "returned nothing")])
def test_a_restore_that_has_not_come_to_its_end_is_an_error(outcome: object, said: str) -> None:
    request = RestoreRequest(site=SITE, backup=ONE, data_dir="/nowhere")
    with built(Tool(restored=outcome)) as found, pytest.raises(DataDirectoryError, match=said):
        restore_backup(found, request, JobHandle())
    with built(Tool(restored=Restored())) as found:
        restore_backup(found, request, JobHandle())
