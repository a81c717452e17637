"""Calls to Consul's HTTP API through one agent or, while it does not answer, through another; each ends at its deadline.

Which agent is asked when, and which request may be sent to a second one, is :mod:`hacore.http.rotation`'s affair.
"""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from hacore.errors import DcsUnavailableError
from hacore.http.certificates import Encryption, TlsFiles
from hacore.http.connection import Connection, Reply, Request
from hacore.http.resolver import Resolver
from hacore.http.rotation import NoAnswerError, Rotation
from hacore.model.clock import Clock, Instant
from hacore_dcs_consul.settings import ConsulSettings
from hacore_dcs_consul.wire import Json, Operation

_API: Final = "/v1/"
_OK, _DENIED, _NOT_FOUND, _CONFLICT = 200, 403, 404, 409
_SILENT: Final = "agent/service/"  # what is answered with nothing where it is well
_DEFINITE: Final = range(400, 429)  # 429: too many requests, another agent may take it
_QUOTED: Final = re.compile('".*"', re.DOTALL)  # keys and values in what Consul says, which may be called anything


class RejectedError(DcsUnavailableError):
    """An agent answered: the request was not carried out, and another agent would say the same."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SessionLostError(RejectedError):
    """The session that the request names is not there any more."""


class RefusedTtlError(RejectedError):
    """The servers allow no session that is so short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an agent said: 200, 404 or 409."""

    status: int
    content: Any  # JSON
    headers: Mapping[str, str]

    @property
    def is_found(self) -> bool:
        """Tell whether there is what was asked for."""
        return self.status != _NOT_FOUND

    @property
    def index(self) -> int:
        """Return the index of what was read, for the next blocking query."""
        found = self.headers.get("x-consul-index", "")
        return int(found) if found.isdecimal() else 0

    @property
    def is_filtered(self) -> bool:
        """Tell whether the token may not see all of it."""
        return self.headers.get("x-consul-results-filtered-by-acls") == "true"


class Client:
    """What speaks to Consul. Used by one thread at a time.

    :param tls: what another client encrypts with; read from the settings' files where they are needed.
    """

    def __init__(self, settings: ConsulSettings, clock: Clock, *, tls: Encryption | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._resolver = Resolver(clock)
        self.tls = tls or (encryption(settings) if any(one.startswith("https") for one in settings.endpoints) else None)
        self._rotation = Rotation(settings.endpoints, clock, shuffled=False)
        self._connections: dict[str, Connection] = {}

    def read(self, path: str, query: Mapping[str, str], *, until: Instant, repeatable: bool = True) -> Answer:
        """Read keys.

        :param repeatable: the time is for several agents; else all of it is for the first that can be reached.
        :raises RejectedError: not allowed.
        :raises DcsUnavailableError: no answer before ``until``.
        """
        answer = self._call("GET", path, query, None, until=until, repeatable=repeatable)
        if answer.index == 0:  # that nothing is found is an answer, too, which any other server would give
            raise DcsUnavailableError(f"consul: {path}: an answer without an index: not Consul")
        return answer

    def put(self, path: str, body: object, *, until: Instant, repeatable: bool) -> Answer:
        """Change something.

        :raises RejectedError: it was definitely not carried out.
        :raises DcsUnavailableError: no answer before ``until``, outcome unknown.
        """
        return self._call("PUT", path, {}, body, until=until, repeatable=repeatable)

    def transact(self, operations: list[Operation], *, until: Instant, repeatable: bool = False) -> list[Json] | None:
        """Carry out all operations or none; what the keys are then, in their order. ``None``: a comparison failed, none was.

        :raises RejectedError: it was definitely not carried out, for another reason.
        :raises DcsUnavailableError: no answer before ``until``, outcome unknown.
        """
        consistent = {"consistent": ""}  # for one that only reads; one that writes is so anyway
        answer = self._call("PUT", "txn", consistent, operations, until=until, repeatable=repeatable)
        if answer.status == _CONFLICT:
            _judge([str(error.get("What", "")) for error in answer.content.get("Errors") or ()])
            return None
        return [one["KV"] for one in answer.content.get("Results") or () if "KV" in one]

    def interrupt(self) -> None:
        """End a call that another thread is waiting in."""
        for connection in list(self._connections.values()):
            connection.interrupt()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    def _call(self, method: str, path: str, query: Mapping[str, str], body: object, *, until: Instant, repeatable: bool) -> Answer:
        where = {"dc": self._settings.dc} if self._settings.dc is not None else {}
        request = Request(
            method=method,
            path=f"{_API}{path}?{urlencode({**query, **where})}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} | ({"X-Consul-Token": self._settings.token} if self._settings.token else {}),
        )

        def send(endpoint: str, connect_until: Instant, answer_until: Instant) -> Answer:
            connection = self._connections.get(endpoint)
            if connection is None:
                connection = self._connections[endpoint] = Connection(endpoint, self._resolver, self._clock, self.tls)
            connection.connect(connect_until)
            return _answer(endpoint, path, connection.ask(request, until=answer_until))

        try:
            return self._rotation.ask(send, until=until, repeatable=repeatable)
        except NoAnswerError as error:
            raise DcsUnavailableError(f"consul: {path}: {error}") from error


def encryption(settings: ConsulSettings) -> Encryption:
    """Build what encrypts the connections."""
    return Encryption.of(TlsFiles.of("consul", settings), verify=settings.verify)


def _answer(endpoint: str, path: str, reply: Reply) -> Answer:
    text = reply.body.decode(errors="replace").strip()
    if "Invalid Session TTL" in text:  # with a status for faults of its own
        raise RefusedTtlError(f"consul: {endpoint}: {path}: {text}", reply.status)
    if reply.status in _DEFINITE and reply.status not in (_NOT_FOUND, _CONFLICT):
        raise RejectedError(f"consul: {endpoint}: {path}: {text or reply.status}", reply.status)
    if reply.status == _NOT_FOUND:  # with a sentence, with nothing, as the path likes
        return Answer(status=reply.status, content=None, headers=reply.headers)
    if reply.status not in (_OK, _CONFLICT):
        raise http.client.HTTPException(f"status {reply.status}: {text}")
    if not text and not path.startswith(_SILENT):
        raise http.client.HTTPException(f"status {reply.status} without an answer: not Consul")
    try:
        content = json.loads(text) if text else None
    except ValueError as error:
        raise http.client.HTTPException(f"status {reply.status}, not JSON: not Consul") from error
    return Answer(status=reply.status, content=content, headers=reply.headers)


def _judge(reasons: list[str]) -> None:
    """Raise where a transaction failed by something else than a comparison."""
    said, own_words = "; ".join(reasons), [_QUOTED.sub("", reason) for reason in reasons]
    if any("ermission denied" in words or "ACL" in words for words in own_words):
        raise RejectedError(f"consul: txn: {said}", _DENIED)
    if any("invalid session" in words for words in own_words):
        raise SessionLostError(f"consul: txn: {said}", _CONFLICT)
