"""Calling the hooks of one plugin by pluggy: under a limit, in isolation, counted. It knows no kind and no answer."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Final, TypeVar

import pluggy

from hacore.errors import HacoreError, JobCancelledError, PluginError, PluginUnavailableError
from hacore.hookspecs import KINDS, PROJECT
from hacore.model.text import short
from hacore.plugins.lanes import Lane, PluginLateError

logger = logging.getLogger(__name__)

T = TypeVar("T")

HOOK_PREFIX: Final = "hacore_"
_SAID: Final = frozenset({"reason", "detail", "owner"})  # fields of answers that are text for people ...
_COMPARED: Final = frozenset({"target"})  # ... and those that must be text


class PluginFaultError(PluginUnavailableError):
    """A plugin raised what it may not raise, or returned something of another type."""


def isolated(what: str, function: Callable[[], T]) -> T:
    """Call into a plugin. This is the only place where what it raises is caught, whatever it is.

    :raises PluginFaultError: for everything that it may not raise.
    :raises HacoreError: what it raised on purpose.
    """
    try:
        return function()
    except HacoreError:
        raise
    except Exception as error:
        logger.exception("fault of a plugin", extra={"call": what})
        raise PluginFaultError(short(f"{what}: {type(error).__name__}: {error}")) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How a plugin has behaved since it was built."""

    calls: int
    faults: int  # exceptions that no hook may raise, and answers of another type
    late: int
    refused: int


class Calls:
    """The hooks of one plugin instance.

    Each plugin has a pluggy manager of its own: with a shared one, the first that raises would silence those after it.
    """

    def __init__(self, name: str, instance: object) -> None:
        self.name = name
        self._faults = 0
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()
        self._lane = Lane(name)
        self._manager = _manager()
        try:
            self._manager.register(instance, name=name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"plugin {name}: {error}") from error
        self._hooks = {caller.name for caller in self._manager.get_hookcallers(instance) or ()}

    def has(self, hook: str) -> bool:
        """Tell whether the plugin implements ``hook``."""
        return hook in self._hooks

    @property
    def counts(self) -> Counts:
        """Return how the plugin has behaved so far."""
        calls = sum(self.outcomes().values())
        return Counts(calls=calls, faults=self._faults, late=self._lane.late, refused=self._lane.refused)

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Return how often each hook was called with which outcome: ``ok``, ``failed`` or ``late``."""
        with self._counting:
            return dict(self._outcomes)

    @property
    def is_stuck(self) -> bool:
        """Tell whether the plugin has not come back from a call."""
        return self._lane.is_stuck

    def call(
        self, hook: str, *answers: type, limit_s: float | None, is_cancelled: Callable[[], bool] | None = None, **arguments: object
    ) -> object:
        """Call a hook on the plugin's own thread and return its answer: of one of the types ``answers``, or ``None``.

        :raises PluginUnavailableError: no answer in time, or a fault of the plugin.
        :raises HacoreError: what the plugin raised on purpose.
        """
        return self.run(hook, lambda: self._answer(hook, answers, arguments), limit_s=limit_s, is_cancelled=is_cancelled)

    def call_here(self, hook: str, *answers: type, **arguments: object) -> object:
        """Call a hook on this thread, for as long as it takes."""
        return self._counted(hook, lambda: self._isolate(hook, lambda: self._answer(hook, answers, arguments)))

    def run(
        self, name: str, function: Callable[[], T], *, limit_s: float | None, is_cancelled: Callable[[], bool] | None = None
    ) -> T:  # fmt: skip
        """Run any call into the plugin on its own thread; it is counted under ``name``."""
        what = self._what(name)
        return self._counted(
            name, lambda: self._lane.run(lambda: self._isolate(name, function), what=what, limit_s=limit_s, is_cancelled=is_cancelled)
        )

    def end(self) -> None:
        """Let the plugin's thread end."""
        self._lane.end()

    def _what(self, name: str) -> str:
        return f"plugin {self.name}: {name}"

    def _isolate(self, name: str, function: Callable[[], T]) -> T:
        try:
            return isolated(self._what(name), function)
        except PluginFaultError:
            self._faults += 1
            raise
        except HacoreError as error:
            if str(error) != short(error):
                error.args = (short(error),)
            raise

    def _counted(self, name: str, function: Callable[[], T]) -> T:
        outcome = "failed"
        try:
            found = function()
            outcome = "ok"
        except (PluginLateError, JobCancelledError):
            outcome = "late"
            raise
        finally:
            with self._counting:
                self._outcomes[name, outcome] += 1
        return found

    def _answer(self, hook: str, answers: tuple[type, ...], arguments: dict[str, object]) -> object:
        caller = getattr(self._manager.hook, hook)
        returned: object = caller(**arguments)
        if not caller.spec.opts["firstresult"]:  # many answers count; here it is one plugin's
            returned = returned[0] if isinstance(returned, list) and returned else None
        if returned is not None and answers and not isinstance(returned, answers):
            raise TypeError(f"returned {type(returned).__name__}, want {' or '.join(one.__name__ for one in answers)} or None")
        return _cut(returned)


def hooks_of(kind: type) -> dict[str, Callable[..., object]]:
    """Return the hooks of a kind, those of every kind included."""
    return {name: getattr(kind, name) for name in dir(kind) if name.startswith(HOOK_PREFIX)}


def _cut(answer: object) -> object:
    """Cut what an answer says, however it says it: text of any length, or no text at all, must not reach those who show it."""
    if not is_dataclass(answer) or isinstance(answer, type):
        return answer
    said = {one.name: getattr(answer, one.name) for one in fields(answer) if one.name in _SAID | _COMPARED}
    cut = {name: short(value) for name, value in said.items() if isinstance(value, str) or (value is not None and name in _SAID)}
    return replace(answer, **cut) if any(cut[name] != said[name] for name in cut) else answer


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    specs = {name: hook for kind in KINDS.values() for name, hook in hooks_of(kind).items()}
    manager.add_hookspecs(type("Hooks", (), specs))  # each once: the kinds share some
    return manager
