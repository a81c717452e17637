"""Kind ``archive``: asking the one plugin that knows the archive, each hook under its limit (integrations reference 14.4)."""

from typing import Final, cast

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ArchiveRequest
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus
from hacore.plugins.registry import Plugin

_SETTINGS_S: Final = 1.0
_QUERY_S: Final = 10.0

Verdict = ArchiveEmpty | ArchiveOwned | ArchiveConflict


def archive_settings(plugin: Plugin, request: ArchiveRequest) -> ArchiveSettings:
    """Return how WAL is pushed and fetched.

    :raises PluginUnavailableError: the plugin does not say.
    """
    answer = plugin.calls.call("hacore_archive_settings", ArchiveSettings, limit_s=_SETTINGS_S, request=request)
    if answer is None:
        raise PluginUnavailableError(f"plugin {plugin.name}: hacore_archive_settings returned nothing")
    return cast("ArchiveSettings", answer)


def archive_identity(plugin: Plugin, request: ArchiveRequest) -> Verdict | None:
    """Return whose the archive is; ``None``: the plugin cannot tell.

    :raises PluginUnavailableError: the archive does not answer.
    """
    if not plugin.calls.has("hacore_archive_identity"):
        return None
    answer = plugin.calls.call(
        "hacore_archive_identity", ArchiveEmpty, ArchiveOwned, ArchiveConflict, limit_s=_QUERY_S, request=request
    )  # fmt: skip
    return cast("Verdict | None", answer)


def archive_status(plugin: Plugin, request: ArchiveRequest) -> ArchiveStatus | None:
    """Return what the archive holds; ``None``: the plugin cannot tell.

    :raises PluginUnavailableError: the archive does not answer.
    """
    if not plugin.calls.has("hacore_archive_status"):
        return None
    return cast("ArchiveStatus | None", plugin.calls.call("hacore_archive_status", ArchiveStatus, limit_s=_QUERY_S, request=request))
