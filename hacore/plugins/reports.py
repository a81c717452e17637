"""What every plugin may say of itself: metrics, status, and what is wrong with its settings."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from hacore.errors import HacoreError
from hacore.hookspecs import Validate
from hacore.interfaces import Metric
from hacore.plugins.registry import Plugin

_PROMPT_S: Final = 1.0
_QUERY_S: Final = 10.0

Status = Mapping[str, str | int | float | bool | None]


class Reports:
    """Asks plugins how they are, not more often than ``every_s``, and remembers the newest answers."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._asked_at: dict[tuple[str, str], float] = {}
        self._metrics: dict[str, tuple[Metric, ...]] = {}
        self._status: dict[str, dict[str, str | int | float | bool | None]] = {}

    def metrics(self, plugins: Iterable[Plugin]) -> dict[str, tuple[Metric, ...]]:
        """Return the samples of each plugin. How it behaves is counted elsewhere."""
        plugins = tuple(plugins)
        for plugin in plugins:
            found = cast("Sequence[object] | None", self._ask(plugin, "hacore_metrics", Sequence))
            if found is not None:
                self._metrics[plugin.name] = tuple(one for one in found if isinstance(one, Metric))
        return {plugin.name: self._metrics.get(plugin.name, ()) for plugin in plugins}

    def status(self, plugins: Iterable[Plugin]) -> dict[str, Status]:
        """Return what each plugin says of itself."""
        for plugin in plugins:
            found = cast("Mapping[object, object] | None", self._ask(plugin, "hacore_status", Mapping))
            if found is not None:
                self._status[plugin.name] = {str(key): _plain(value) for key, value in found.items()}
        return dict(self._status)

    def _ask(self, plugin: Plugin, hook: str, answer: type) -> object:
        now = time.monotonic()
        asked_at = self._asked_at.get((plugin.name, hook))
        if not plugin.calls.has(hook) or (asked_at is not None and now - asked_at < self._every_s):
            return None
        self._asked_at[plugin.name, hook] = now
        try:
            return plugin.calls.call(hook, answer, limit_s=_PROMPT_S)
        except HacoreError:
            return None  # logged and counted where it was called; the answer before it stands


def validate(plugins: Iterable[Plugin], request: Validate) -> dict[str, tuple[str, ...]]:
    """Return what is wrong with the settings of each plugin, beyond what its schema says."""
    found: dict[str, tuple[str, ...]] = {}
    for plugin in plugins:
        if not plugin.calls.has("hacore_validate"):
            continue
        try:
            wrong = plugin.calls.call("hacore_validate", Sequence, limit_s=_QUERY_S, request=request)
            found[plugin.name] = tuple(map(str, cast("Sequence[object] | None", wrong) or ()))
        except HacoreError as error:
            found[plugin.name] = (str(error),)
    return {name: wrong for name, wrong in found.items() if wrong}


def _plain(value: object) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
