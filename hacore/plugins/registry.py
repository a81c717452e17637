"""The plugins of one process: what the configuration wants, built once for each name. It knows no hook of any kind."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hacore.errors import ConfigError, HacoreError, PluginError
from hacore.plugins.calling import Calls, isolated
from hacore.plugins.finding import Found, find
from hacore.plugins.lanes import run_once
from hacore.plugins.schemas import default_settings

logger = logging.getLogger(__name__)

_LIMIT_S: Final = 10.0  # to build a plugin, and to close it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One use of a plugin. ``settings``: what it is built with; ``None``: it has no section."""

    kind: str
    name: str
    settings: object = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """One instance, and how it is called."""

    found: Found
    given: object  # what the configuration gave it, ``None`` where it has no section
    settings: object  # what it was built with
    calls: Calls

    @property
    def name(self) -> str:
        """The name of its entry points."""
        return self.found.name


class Registry:
    """Holds the instances. Not to be changed from two threads at once."""

    def __init__(self) -> None:
        self._plugins: dict[str, Plugin] = {}
        self._order: dict[str, list[str]] = {}

    def update(self, wanted: Iterable[Wanted]) -> None:
        """Build what is wanted and not there, or there with other settings; then close what is not wanted any more.

        Nobody waits for that: a reload happens in the loop's thread, and one that hangs at its end must not delay a renewal.

        :raises PluginError: one cannot be had; everything is as it was before.
        :raises ConfigError: one refuses its settings; the same.
        """
        wanted = list(wanted)
        old, new = self._plugins, dict[str, Plugin]()
        try:
            for name in dict.fromkeys(one.name for one in wanted):
                new[name] = _reuse_or_build([one for one in wanted if one.name == name], old.get(name))
        except HacoreError:
            _close_aside([plugin for name, plugin in new.items() if plugin is not old.get(name)])
            raise
        self._plugins = new
        self._order = _order(wanted)
        _close_aside([plugin for name, plugin in old.items() if plugin is not new.get(name)])

    def of_kind(self, kind: str) -> tuple[Plugin, ...]:
        """Return the plugins in use for a kind, in their configured order."""
        return tuple(self._plugins[name] for name in self._order.get(kind, ()))

    def get(self, kind: str, name: str) -> Plugin | None:
        """Return one plugin that is in use for a kind."""
        return self._plugins[name] if name in self._order.get(kind, ()) else None

    def every(self) -> tuple[Plugin, ...]:
        """Return all plugins in use."""
        return tuple(self._plugins.values())

    def calls(self) -> tuple[tuple[str, str, str, int], ...]:
        """Return for each plugin and hook how often it was called with which outcome: ``ok``, ``failed`` or ``late``."""
        found = ((plugin.name, *key, count) for plugin in self.every() for key, count in plugin.calls.outcomes().items())
        return tuple(sorted(found))

    def close(self) -> None:
        """Close all plugins."""
        plugins, self._plugins, self._order = self._plugins, {}, {}
        _close(plugins.values())


def _order(wanted: Iterable[Wanted]) -> dict[str, list[str]]:
    order: dict[str, list[str]] = {}
    for one in wanted:
        names = order.setdefault(one.kind, [])
        if one.name not in names:
            names.append(one.name)
    return order


def _reuse_or_build(uses: list[Wanted], old: Plugin | None) -> Plugin:
    given = next((one.settings for one in uses if one.settings is not None), None)
    if old is not None and {one.kind for one in uses} <= set(old.found.kinds) and (given == old.given or _is_store(uses)):
        return old
    found, *_ = [find(one.kind, one.name) for one in uses]  # of every kind that it is wanted for
    settings = default_settings(found) if given is None else given
    return Plugin(found, given, settings, Calls(found.name, _instance(found, settings)))


def _is_store(uses: list[Wanted]) -> bool:
    """Tell whether a session may be open on the plugin: its settings count from the next start of the process."""
    return any(one.kind == "dcs" for one in uses)


def _instance(found: Found, settings: object) -> object:
    what = f"{found.declared}: cannot be built"
    try:
        return run_once(found.name, lambda: isolated(what, lambda: found.plugin(settings)), what=what, limit_s=_LIMIT_S)
    except ConfigError as error:
        raise ConfigError(f"{found.declared}: {error}") from error
    except HacoreError as error:
        raise PluginError(str(error)) from error


def _close_aside(plugins: list[Plugin]) -> None:
    if plugins:
        threading.Thread(target=_close, args=(plugins,), name="close plugins", daemon=True).start()


def _close(plugins: Iterator[Plugin] | Iterable[Plugin]) -> None:
    for plugin in plugins:
        if plugin.calls.has("hacore_close"):
            with suppress(HacoreError):  # counted and logged where it was called; nothing follows from it
                plugin.calls.call("hacore_close", limit_s=_LIMIT_S)
        plugin.calls.end()
