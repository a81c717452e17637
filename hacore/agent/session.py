"""The session with the store, opened when it is first needed and again after it could not be: an agent starts without its store, too.

Settings that a store refuses for a while end an agent that begins: a store that has just been started itself may not know of rights yet.
One that finds its server running goes on without the store, for it has been let in before: rights that are away may not cost a primary.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from hacore.errors import ConfigError, DcsUnavailableError, PluginError
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
    Dcs,
    Refused,
    ReleaseRequest,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.model.clock import Clock, Instant

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_OPEN_S: Final = 1.0
REFUSED_S: Final = 60.0  # an API server that has started takes some of them to read its roles


class StoreRefusedError(ConfigError):
    """The store cannot be opened as it is configured, and no server has run here that could be lost by saying so."""


class LateDcs:
    """Implements :class:`hacore.interfaces.Dcs` over a session that ``open_session`` may fail to open.

    :param has_server: whether a PostgreSQL runs here.
    """

    def __init__(self, open_session: Callable[[], Dcs], clock: Clock, *, has_server: Callable[[], bool]) -> None:
        self._open, self._clock, self._has_server = open_session, clock, has_server
        self._session: Dcs | None = None
        self._wake: Callable[[], None] | None = None
        self._has_had_server = False  # since this agent began: it may be down again while the store is waited for
        self._failed_at: Instant | None = None
        self._refused_since: Instant | None = None
        self._error = ""

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read all records."""
        return self._opened().snapshot(timeout_s=timeout_s, max_age_s=max_age_s)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock."""
        return self._opened().acquire(request, timeout_s=timeout_s)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock."""
        return self._opened().renew(request, timeout_s=timeout_s)

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Give the lock back."""
        return self._opened().release(request, timeout_s=timeout_s)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""
        return self._opened().write(request, timeout_s=timeout_s)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record."""
        self._opened().publish(value, ttl_s=ttl_s, timeout_s=timeout_s)

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._opened().withdraw(timeout_s=timeout_s)

    def watch(self, wake: Callable[[], None]) -> None:
        """Watch as soon as there is a session."""
        self._wake = wake
        if self._session is not None:
            self._session.watch(wake)

    def close(self) -> None:
        """End the session, if there is one."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _opened(self) -> Dcs:
        if self._session is not None:
            return self._session
        now = self._clock.now()
        if self._failed_at is not None and now - self._failed_at < _RETRY_OPEN_S:
            raise DcsUnavailableError(self._error)
        self._has_had_server = self._has_had_server or self._has_server()
        try:
            session = self._watched(self._open())
        except DcsUnavailableError as error:
            self._failed_at, self._error, self._refused_since = self._clock.now(), str(error), None
            raise
        except (ConfigError, PluginError) as error:
            self._refused_since = now if self._refused_since is None else self._refused_since
            if not self._has_had_server and now - self._refused_since >= REFUSED_S:
                raise StoreRefusedError(str(error)) from error
            if str(error) != self._error:
                logger.error("the store refuses this configuration", extra={"error": str(error)})  # noqa: TRY400 - it is no crash
            self._failed_at, self._error = self._clock.now(), str(error)
            raise DcsUnavailableError(self._error) from error
        self._session = session
        return session

    def _watched(self, session: Dcs) -> Dcs:
        """Have a new session watched. One that cannot be is ended: the next attempt opens another."""
        try:
            if self._wake is not None:
                session.watch(self._wake)
        except DcsUnavailableError:
            session.close()
            raise
        return session
