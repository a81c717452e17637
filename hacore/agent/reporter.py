"""Asks plugins every now and then how they are, on a thread of its own, for ``/metrics`` and the status document.

Not the store: its thread renews the lease.
"""

import math
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from hacore.interfaces import Metric
from hacore.model.text import short
from hacore.plugins.registry import Plugin, Registry
from hacore.plugins.reports import Reports
from hacore.publish.picture import Sample, Scalar

_EVERY_S: Final = 10.0
_MOST: Final = 500  # samples, and words, of one plugin: the picture has a limit
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_INTEGER_BITS: Final = 63  # what every reader of JSON takes; Python itself refuses to write thousands of digits
_OWN_NAMES: Final = frozenset({"calls"})  # of hacore's own: hacore_plugin_calls
_OWN_LABELS: Final = frozenset({"scope", "name", "plugin"})
_HOOKS: Final = ("hacore_metrics", "hacore_status")


class Reporter:
    """``samples`` and ``words`` return at once what plugins said last."""

    def __init__(self, registry: Registry, every_s: float = _EVERY_S) -> None:
        self._registry, self._every_s = registry, every_s
        self._reports = Reports()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.samples: tuple[Sample, ...] = ()
        self.words: tuple[tuple[str, str, Scalar | None], ...] = ()

    def begin(self) -> None:
        """Ask from now on, where a plugin has anything to say."""
        if self._thread is None and self._talkers():
            self._thread = threading.Thread(target=self._serve, name="plugin reports", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _serve(self) -> None:
        while True:
            self._ask()
            if self._ended.wait(self._every_s):
                return

    def _ask(self) -> None:
        talkers = self._talkers()
        names = {one.name for one in talkers}
        found = self._reports.metrics(talkers)
        self.samples = tuple(sample for name, metrics in sorted(found.items()) for sample in _samples(name, metrics[:_MOST]))
        said = self._reports.status(talkers)
        self.words = tuple(
            (name, short(key), _short(value)) for name in sorted(said) if name in names for key, value in islice(said[name].items(), _MOST)
        )

    def _talkers(self) -> tuple[Plugin, ...]:
        stores = {one.name for one in self._registry.of_kind("dcs")}
        return tuple(one for one in self._registry.every() if one.name not in stores and any(map(one.calls.has, _HOOKS)))


def _samples(plugin: str, metrics: tuple[Metric, ...]) -> Iterator[Sample]:
    """Leave out what no dashboard could read, of whatever type it is."""
    for one in metrics:
        with suppress(TypeError, ValueError, OverflowError):
            labels = [key for key, _ in one.labels]
            if not all(map(_NAME.fullmatch, (one.name, *labels))) or one.name in _OWN_NAMES or _OWN_LABELS & set(labels):
                continue
            yield (plugin, one.name, short(one.help), tuple((key, short(value)) for key, value in one.labels), float(one.value))


def _short(value: Scalar | None) -> Scalar | None:
    """Return it as JSON can carry it."""
    match value:
        case str():
            return short(value)
        case float() if not math.isfinite(value):
            return str(value)
        case int() if value.bit_length() > _INTEGER_BITS:
            return f"an integer of {value.bit_length()} bits"
        case _:
            return value
