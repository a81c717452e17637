"""Calls to the API servers, each ending at its deadline, and the stream of a watch.

Every write here compares a resource version, or is its owner's alone, so it may be sent again when nobody knows what became of it: it
happens once at most. Then a refused comparison may be our own doing, and the error says so (``unsure``): whoever asked reads again.
"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.http.connection import Broken, Connection, NotSentError, Reply, Request, Stream
from hacore.http.resolver import Resolver
from hacore.http.rotation import NoAnswerError, Rotation
from hacore.model.clock import Clock, Instant
from hacore_dcs_kubernetes.access import Access

Json = Mapping[str, Any]
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE, _BUSY = 401, 403, 404, 409, 410, 429
_UNKNOWN: Final = 500
_RETRIABLE: Final = frozenset({500, 503, 504})
_FIRST_REFUSAL: Final = 400
_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_OTHERS_S: Final = 0.3  # for a server that is asked after another one did not let us in
_CONNECT_S: Final = 2.0
_SAID: Final = 200  # bytes of what a server says that is no JSON
MERGE: Final = "application/merge-patch+json"
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
METADATA: Final = {"Accept": _METADATA_ONLY.format("")}  # of an object; what a pod holds besides is large
METADATA_OF_ALL: Final = {"Accept": _METADATA_ONLY.format("List")}


class RefusedByServerError(DcsUnavailableError):
    """A server answered: the request was not carried out, and another server would say the same."""

    def __init__(self, message: str, status: int, *, unsure: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.unsure = unsure  # an earlier attempt at the same request may have been carried out

    @property
    def is_conflict(self) -> bool:
        """Tell whether the object is not as it was compared: changed, there already, or gone."""
        return self.status in (_CONFLICT, _NOT_FOUND)

    @property
    def is_absence(self) -> bool:
        """Tell whether there is no such object."""
        return self.status == _NOT_FOUND

    @property
    def is_denial(self) -> bool:
        """Tell whether we are not let in, or not allowed to."""
        return self.status in (_UNAUTHORIZED, _FORBIDDEN)


class _PassingError(http.client.HTTPException):
    """A server cannot carry the request out now; another, or the same a little later, may."""

    def __init__(self, message: str, *, happened: bool, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.happened = happened  # possibly
        self.after_s = after_s


class Client:
    """What speaks to the servers of one Kubernetes cluster. Used by one thread at a time."""

    def __init__(self, access: Access, clock: Clock, retriable: frozenset[int] = frozenset()) -> None:
        self._access = access
        self._clock = clock
        self._retriable = _RETRIABLE | retriable
        self._resolver = Resolver(clock)
        self._rotation = Rotation(access.servers, clock, shuffled=True)
        self._connections: dict[str, Connection] = {}
        self._streaming: Connection | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """Return the servers in the order in which they are tried."""
        return self._rotation.order

    @property
    def connected(self) -> frozenset[str]:
        """Return the servers to which a connection is kept."""
        return frozenset(self._connections)

    def prefer(self, servers: tuple[str, ...]) -> None:
        """Ask these servers first; the configured ones stay as a last resort."""
        self._rotation.learn(servers)
        for server in self._access.servers:
            if server not in servers:
                self._rotation.move_back(server)

    def get(self, path: str, *, until: Instant, headers: Mapping[str, str] | None = None) -> Json:
        """Read."""
        return self._call(Request(method="GET", path=path, headers=headers or {}), until)

    def write(self, method: str, path: str, body: object, *, until: Instant, headers: Mapping[str, str] | None = None) -> Json:
        """Create an object (POST), or change one that is compared by its resource version or is ours alone (PATCH)."""
        kind = MERGE if method == "PATCH" else "application/json"
        content = json.dumps(body).encode()
        return self._call(Request(method=method, path=path, body=content, headers={"Content-Type": kind, **(headers or {})}), until)

    def watch(self, path: str, *, silence_s: float, headers: Mapping[str, str] | None = None) -> Iterator[Json]:
        """Yield the events of a watch until the server ends it in order, or until one is overdue.

        :raises DcsUnavailableError: it has ended in any other way; the next call asks another server.
        """
        server = self.servers[0]
        connection = self._connection(server, kept=False)
        self._streaming = connection
        sent: Mapping[str, str] = {}
        try:
            connection.connect(self._clock.now() + _CONNECT_S)
            sent = self._access.token.headers()
            request = Request(method="GET", path=path, headers={**(headers or {}), **sent})
            stream = connection.stream(request, silence_s=silence_s)
            yield from _events(stream, server)
        except RefusedByServerError as error:
            if error.status == _UNAUTHORIZED:
                self._access.token.renew(sent)
            if error.status != _GONE:
                self._rotation.move_back(server)
            raise
        except (ValueError, *Broken) as error:
            self._rotation.move_back(server)
            raise DcsUnavailableError(f"kubernetes: {server}: watch: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
            self._streaming = None

    def interrupt(self) -> None:
        """End a watch that another thread is reading."""
        streaming = self._streaming
        if streaming is not None:
            streaming.interrupt()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    def _call(self, request: Request, until: Instant) -> Json:
        """Ask one server after the other, with a pause after each round, until one answers or the time is over.

        That we are not let in is the answer only where no server of a round gives another one: each may know of rights and tokens, or not.
        """
        attempt = _Attempt(request)
        pause_s = _PAUSE_S
        while True:
            try:
                reply = self._rotation.ask(lambda *place: self._ask(attempt, *place), until=until, repeatable=True)
                return self._answer(attempt, reply)
            except NoAnswerError as error:
                if attempt.denial is not None:
                    return self._answer(attempt, attempt.denial)
                wait_s = max(pause_s, attempt.after_s)
                if self._clock.now() + wait_s >= until:
                    raise DcsUnavailableError(f"kubernetes: {request.method} {request.path}: {error}") from error
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _ask(self, attempt: "_Attempt", server: str, connect_until: Instant, until: Instant) -> Reply:
        if attempt.denial is not None:  # an answer already; one that is silent must not cost the time of what comes next
            soon = self._clock.now() + _OTHERS_S
            connect_until, until = min(connect_until, soon), min(until, soon)
        try:
            sent = self._access.token.headers()
            reply = self._send(attempt.request, sent, server, connect_until, until)
            if reply.status == _UNAUTHORIZED and self._access.token.renew(sent):
                reply = self._send(attempt.request, self._access.token.headers(), server, connect_until, until)
            if reply.status in self._retriable or reply.status == _BUSY or "retry-after" in reply.headers:
                happened = reply.status not in (_BUSY, _UNAUTHORIZED, _FORBIDDEN)
                raise _PassingError(
                    f"{reply.status} {_message(reply)}", happened=happened, after_s=_seconds(reply.headers.get("retry-after"))
                )
            if reply.status in (_UNAUTHORIZED, _FORBIDDEN):
                attempt.denial = reply
                raise _PassingError(f"{reply.status} {_message(reply)}", happened=False)
        except NotSentError:
            raise
        except Broken as error:
            passing = error if isinstance(error, _PassingError) else None
            attempt.unsure |= passing is None or passing.happened
            attempt.after_s = 0.0 if passing is None else passing.after_s
            raise
        return reply

    def _send(self, request: Request, token: Mapping[str, str], server: str, connect_until: Instant, until: Instant) -> Reply:
        connection = self._connection(server, kept=True)
        connection.connect(connect_until)
        headers = {**request.headers, **token}
        return connection.ask(Request(method=request.method, path=request.path, body=request.body, headers=headers), until=until)

    def _connection(self, server: str, *, kept: bool) -> Connection:
        known = self._connections.get(server) if kept else None
        if known is not None:
            return known
        made = Connection(server, self._resolver, self._clock, self._access.tls, server_name=self._access.server_name)
        if kept:
            for gone in self._connections.keys() - set(self.servers):  # the servers may have changed since the last one was made
                self._connections.pop(gone).close()
            self._connections[server] = made
        return made

    def _answer(self, attempt: "_Attempt", reply: Reply) -> Json:
        request = attempt.request
        if reply.status >= _FIRST_REFUSAL:
            message = f"kubernetes: {request.method} {request.path}: {reply.status} {_message(reply)}"
            raise RefusedByServerError(message, reply.status, unsure=attempt.unsure)
        try:
            answer = json.loads(reply.body)
        except ValueError as error:
            raise DcsUnavailableError(f"kubernetes: {request.method} {request.path}: the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise DcsUnavailableError(f"kubernetes: {request.method} {request.path}: the answer is not an object")
        return answer


class _Attempt:
    """One request on its way to the servers."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.unsure = False  # a server may have carried it out without saying so
        self.after_s = 0.0  # a server asked for this pause
        self.denial: Reply | None = None  # a server did not let us in


def _events(stream: Stream, server: str) -> Iterator[Json]:
    """Yield the events of a watch, unless the server says that there are none, or no more."""
    if stream.status != http.HTTPStatus.OK:
        said = b" ".join(stream.lines)[:_SAID].decode(errors="replace")
        raise RefusedByServerError(f"kubernetes: {server}: watch: {stream.status} {said}", stream.status)
    for line in stream.lines:
        event = json.loads(line)
        if event.get("type") == "ERROR":
            said = event["object"]
            raise RefusedByServerError(f"kubernetes: {server}: watch: {said.get('message')}", int(said.get("code", _UNKNOWN)))
        yield event


def _message(reply: Reply) -> str:
    try:
        found = json.loads(reply.body)
        return str(found["message"])
    except (ValueError, KeyError, TypeError):
        return reply.body[:_SAID].decode(errors="replace")


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
