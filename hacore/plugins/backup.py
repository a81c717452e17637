"""Kind ``backup``: what the plugin that knows the repository answers, checked: schedule, retention and restores rest on it."""

from collections.abc import Sequence
from typing import Final, cast

from hacore.errors import DataDirectoryError, PluginUnavailableError
from hacore.hookspecs import BackupSite, ListBackups, RestoreRequest
from hacore.interfaces import Backup, Failed, Job, Restored
from hacore.plugins.registry import Plugin

_LIST_S: Final = 10.0


def list_backups(plugin: Plugin, site: BackupSite) -> tuple[Backup, ...]:
    """Return what the repository holds.

    :raises PluginUnavailableError: it could not be read, or is no list of backups: an error is no empty list.
    """
    found = plugin.calls.call("hacore_list_backups", Sequence, limit_s=_LIST_S, request=ListBackups(site=site))
    if found is None or not all(isinstance(one, Backup) and _has_zones(one) for one in cast("Sequence[object]", found)):
        raise PluginUnavailableError(f"plugin {plugin.name}: hacore_list_backups returned no list of backups, or times without a zone")
    return tuple(cast("Sequence[Backup]", found))


def restore_backup(plugin: Plugin, request: RestoreRequest, job: Job) -> None:
    """Put the files of a backup in place.

    :raises DataDirectoryError: the tool has failed.
    :raises HacoreError: what the plugin raised on purpose.
    """
    outcome = plugin.calls.call_here("hacore_restore", Restored, Failed, request=request, job=job)
    if not isinstance(outcome, Restored):
        reason = outcome.reason if isinstance(outcome, Failed) else "hacore_restore returned nothing"
        raise DataDirectoryError(f"plugin {plugin.name}: {reason}")


def _has_zones(backup: Backup) -> bool:
    return all(at is None or at.utcoffset() is not None for at in (backup.started_at, backup.stopped_at))
