"""Kind ``dcs``: the one store of this node, called so that it can neither hang nor surprise the loop."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from hacore.errors import DcsUnavailableError, HacoreError, PluginError, PluginUnavailableError
from hacore.hookspecs import OpenDcs
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
    Dcs,
    DcsCapabilities,
    Refused,
    ReleaseRequest,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.model.clock import Clock
from hacore.plugins.calling import Calls, isolated
from hacore.plugins.declaration import CAPABILITIES_HOOK
from hacore.plugins.finding import Found
from hacore.plugins.lanes import run_once
from hacore.plugins.registry import Plugin

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OPEN_S: Final = 10.0
_CLOSE_S: Final = 5.0
_GRACE_S: Final = 0.2  # a session that keeps its limit by a hair has kept it


def capabilities_of(found: Found) -> DcsCapabilities:
    """Return what a store declares of itself.

    :raises PluginError: it says something else.
    """
    what = f"{found.declared}: {CAPABILITIES_HOOK}"
    answer: object = run_once(found.name, lambda: isolated(what, getattr(found.plugin, CAPABILITIES_HOOK)), what=what, limit_s=_OPEN_S)
    if not isinstance(answer, DcsCapabilities):
        raise PluginError(f"{what} returned {type(answer).__name__}, want DcsCapabilities")
    return answer


def open_dcs(plugin: Plugin, request: OpenDcs) -> Dcs:
    """Open the session with the store.

    :raises DcsUnavailableError: no server answered, or the plugin failed.
    :raises ConfigError: the settings are wrong.
    :raises PluginError: the plugin opened something else than a session.
    """
    calls = plugin.calls
    try:
        session = calls.call("hacore_open_dcs", object, limit_s=_OPEN_S, request=request)
        if session is None or not all(hasattr(type(session), name) for name in _CALLS):
            raise PluginError(f"{plugin.found.declared}: hacore_open_dcs returned {type(session).__name__}, want a Dcs")
        assert_dcs: Dcs = session  # type: ignore[assignment] # its answers are checked, one by one
    except PluginUnavailableError as error:
        raise DcsUnavailableError(str(error)) from error
    return GuardedDcs(calls, assert_dcs, request.clock)


class GuardedDcs:
    """A session whose calls are made on the plugin's thread and cut off shortly after their limit.

    The wait for them does not count the time in which the machine slept, so an answer is also held against the clock that does.
    """

    def __init__(self, calls: Calls, session: Dcs, clock: Clock) -> None:
        self._calls = calls
        self._session = session
        self._clock = clock

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read all records of the cluster."""
        return self._ask("snapshot", (Snapshot,), lambda: self._session.snapshot(timeout_s=timeout_s, max_age_s=max_age_s), timeout_s)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock for this member."""
        return self._ask("acquire", (Acquired, Refused), lambda: self._session.acquire(request, timeout_s=timeout_s), timeout_s)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock that is held."""
        return self._ask("renew", (Renewed, Refused), lambda: self._session.renew(request, timeout_s=timeout_s), timeout_s)

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Give the lock back."""
        return self._ask("release", (Written, Refused), lambda: self._session.release(request, timeout_s=timeout_s), timeout_s)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""
        return self._ask("write", (Written, Refused), lambda: self._session.write(request, timeout_s=timeout_s), timeout_s)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record."""
        self._ask("publish", (object,), lambda: self._session.publish(value, ttl_s=ttl_s, timeout_s=timeout_s), timeout_s)

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._ask("withdraw", (object,), lambda: self._session.withdraw(timeout_s=timeout_s), timeout_s)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` soon after something has changed."""
        self._ask("watch", (object,), lambda: self._session.watch(wake), _OPEN_S)

    def close(self) -> None:
        """End the session. One that does not end is left behind."""
        try:
            self._ask("close", (object,), self._session.close, _CLOSE_S)
        except DcsUnavailableError as error:
            logger.warning("session with the store did not end in order", extra={"plugin": self._calls.name, "error": str(error)})

    def _ask(self, call: str, answers: tuple[type, ...], function: Callable[[], T], timeout_s: float) -> T:
        until = self._clock.now() + timeout_s + _GRACE_S

        def checked() -> T:
            answer = function()
            if self._clock.now() > until:
                raise DcsUnavailableError(f"{self._calls.name}: {call}: the answer came too late")
            if not isinstance(answer, answers):
                raise TypeError(f"returned {type(answer).__name__}, want {' or '.join(one.__name__ for one in answers)}")
            return answer

        try:
            return self._calls.run(call, checked, limit_s=timeout_s + _GRACE_S)
        except DcsUnavailableError:
            raise
        except HacoreError as error:  # also a configuration that is wrong by now: the session was opened with it
            raise DcsUnavailableError(str(error)) from error


_CALLS: Final = tuple(name for name in vars(GuardedDcs) if not name.startswith("_"))
