"""From a whole request to the bytes of its answer, on the right thread.

Health checks are answered at once, in the server's thread. What needs a fresh position waits for the measurement that all share. What the
agent must be asked goes to a few threads: one set for reading, one for commands, so that long commands keep nobody from looking.
"""

import logging
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any, Final

from gunicorn.config import Config

from hacore.api.app import STATUS_LINE_ONLY
from hacore.api.connection import Connection
from hacore.api.health import needs_position
from hacore.api.pool import Pool
from hacore.api.positions import Positions
from hacore.api.request import BadRequestError, Head, environ
from hacore.api.response import Dressing, HeaderError, full, refusal, status_line
from hacore.api.server import Server

logger = logging.getLogger(__name__)

_READERS: Final = 3
_ASKED: Final = frozenset({"cluster", "history", "config", "backups", "restore"})
_MEASURED: Final = frozenset({"patroni", "metrics", "readiness"})
_CHECKS: Final = frozenset({"HEAD", "OPTIONS"})

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Lane(Enum):
    """What a request may have to wait for."""

    PROMPT = auto()  # nothing
    MEASURED = auto()  # a fresh look at the server
    READING = auto()  # the agent, briefly
    COMMAND = auto()  # the agent, or a name server, maybe for long


def lane_of(method: str, path: str, query: str) -> Lane:
    """Tell what a request may have to wait for."""
    if method in _CHECKS:
        return Lane.MEASURED if needs_position(path, query) else Lane.PROMPT
    if method != "GET":
        return Lane.COMMAND
    first = path.lstrip("/").partition("/")[0]
    if first in _ASKED:
        return Lane.READING
    return Lane.MEASURED if first in _MEASURED or needs_position(path, query) else Lane.PROMPT


class _Errors:
    """Where the application writes what it did not expect."""

    def write(self, text: str) -> None:
        """Log it."""
        logger.error("request failed", extra={"error": text.rstrip()})

    def flush(self) -> None:
        """Nothing is kept back."""


class Dispatcher:
    """Hands requests to the application, and its answers to the server."""

    def __init__(self, app: WsgiApp, positions: Positions, config: Config, *, commands: int) -> None:
        self._app = app
        self._positions = positions
        self._readers = Pool("reader", _READERS)
        self._commands = Pool("command", commands)
        self._errors = _Errors()
        self.dressing = Dressing()
        self.address: tuple[str, int] = ("localhost", 0)
        self.server = Server(config, self._handle, self._refuse)

    def _handle(self, connection: Connection, head: Head, body: bytes) -> None:
        lane = lane_of(head.method, head.path, head.query)
        match lane:
            case Lane.PROMPT:
                self._answer(connection, head, body)
            case Lane.MEASURED:
                again = lambda: self.server.call_soon(lambda: self._answer(connection, head, body))  # noqa: E731
                if self._positions.after_next(again):
                    self._answer(connection, head, body)
            case Lane.READING | Lane.COMMAND:
                pool = self._readers if lane is Lane.READING else self._commands
                if not pool.submit(lambda: self._answer(connection, head, body)):
                    self._refuse(connection, BadRequestError(503, "too many requests are waiting"))

    def _refuse(self, connection: Connection, error: BadRequestError) -> None:
        self.server.answer(connection, refusal(error.status, error.text, self.dressing))

    def _answer(self, connection: Connection, head: Head, body: bytes) -> None:
        self.server.answer(connection, self._run(connection, head, body))

    def _run(self, connection: Connection, head: Head, body: bytes) -> bytes:
        variables = environ(head, body, connection.peer, self.address)
        variables["wsgi.errors"] = self._errors
        status, headers = "500 Internal Server Error", list[tuple[str, str]]()

        def start_response(line: str, named: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = line, named
            return lambda _: None

        content = b"".join(self._app(variables, start_response))
        if head.method in _CHECKS or STATUS_LINE_ONLY in variables:
            return status_line(status)
        try:
            return full(status, headers, content, self.dressing)
        except HeaderError as error:
            logger.error("answer cannot be sent", extra={"error": str(error), "path": head.path})  # noqa: TRY400 - the text says it all
            return refusal(500, "an answer that cannot be sent", Dressing())
