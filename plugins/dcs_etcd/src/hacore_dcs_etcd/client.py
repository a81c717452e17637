"""Calls to etcd's JSON gateway over several endpoints, each ending at its deadline.

Which endpoint is asked when, and which request may be sent to a second one, is :mod:`hacore.http.rotation`'s affair.
"""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.http.certificates import Encryption, TlsFiles
from hacore.http.connection import Broken, Connection, Reply, Request
from hacore.http.resolver import Resolver
from hacore.http.rotation import NoAnswerError, Rotation
from hacore.model.clock import Clock, Instant
from hacore_dcs_etcd.settings import EtcdSettings

_API: Final = "/v3/"
_OK: Final = 200
_INVALID, _NOT_FOUND, _DENIED, _PRECONDITION, _UNAUTHENTICATED = 3, 5, 7, 9, 16  # codes of gRPC
_NAMED: Final = b"CommonName of client sending a request against gateway"  # refused by etcd once it has users
_TOKEN_WORDS: Final = ("invalid auth token", "revision of auth store is old", "user name is empty")
Json = Mapping[str, Any]


class RejectedError(DcsUnavailableError):
    """A server answered: the request was not carried out, and another server would say the same."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class LeaseLostError(RejectedError):
    """The lease that the request names is not there any more."""


class Client:
    """What speaks to the members of one cluster. Used by one thread at a time."""

    def __init__(self, settings: EtcdSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._resolver = Resolver(clock)
        is_encrypted = settings.srv is not None or any(one.startswith("https") for one in settings.endpoints)
        self._tls = encryption(settings) if is_encrypted else None
        self._rotation = Rotation(settings.endpoints, clock, shuffled=True)
        self._connections: dict[str, Connection] = {}
        self._token: str | None = None
        self._streaming: Connection | None = None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return the endpoints in the order in which they are tried."""
        return self._rotation.order

    @property
    def named(self) -> tuple[str, ...]:
        """Return the endpoints that the configuration names, or DNS in its place."""
        return self._rotation.named

    @property
    def connected(self) -> frozenset[str]:
        """Return the endpoints to which a connection is kept."""
        return frozenset(self._connections)

    def call(self, path: str, body: object, *, until: Instant, repeatable: bool) -> Json:
        """Send a request to the first endpoint that takes it and return its answer.

        :raises RejectedError: it was definitely not carried out.
        :raises DcsUnavailableError: no answer before ``until``, outcome unknown.
        """

        def ask(endpoint: str, connect_until: Instant, answer_until: Instant) -> Json:
            return self._ask(endpoint, path, body, until=answer_until, connect_until=connect_until)

        for gone in self.connected - set(self.endpoints):  # here, on the thread that uses them: another one may have learned it
            self._connections.pop(gone).close()
        try:
            return self._rotation.ask(ask, until=until, repeatable=repeatable)
        except NoAnswerError as error:
            raise DcsUnavailableError(f"etcd: {path}: {error}") from error

    def stream(self, path: str, body: object, *, connect_s: float, silence_s: float) -> Iterator[Json]:
        """Send a request to the first endpoint and yield its answers as they come, until one is overdue.

        :raises DcsUnavailableError: the stream has ended; the next call asks another endpoint.
        """
        endpoint = self.endpoints[0]
        connection = Connection(endpoint, self._resolver, self._clock, self._tls)
        self._streaming = connection
        until = self._clock.now() + connect_s
        try:
            headers = {**self._headers(endpoint, until), "Grpc-Metadata-hasleader": "true"}
            connection.connect(until)
            for line in connection.stream(_request(path, body, headers), silence_s=silence_s).lines:
                answer = json.loads(line)
                if "result" not in answer:
                    raise DcsUnavailableError(f"etcd: {endpoint}: {path}: {_message(answer)}")
                yield answer["result"]
            raise DcsUnavailableError(f"etcd: {endpoint}: {path}: the stream has ended")
        except (ValueError, *Broken) as error:
            raise DcsUnavailableError(f"etcd: {endpoint}: {path}: {str(error) or type(error).__name__}") from error
        finally:
            self._token = None  # used when the stream was opened, and who knows what has become of it since
            self._rotation.move_back(endpoint)
            connection.close()
            self._streaming = None

    def learn(self, found: Iterable[str], *, named: tuple[str, ...] | None = None) -> None:
        """Use these endpoints; those that the configuration names, or DNS in its place, stay as a last resort."""
        self._rotation.learn(found, named=named)

    def get(self, url: str, path: str, until: Instant) -> object:
        """Read one document of one server.

        :raises DcsUnavailableError: not possible in time.
        """
        connection = Connection(url, self._resolver, self._clock, self._tls)
        try:
            connection.connect(until)
            return json.loads(connection.ask(Request(method="GET", path=path), until=until).body)
        except (ValueError, *Broken) as error:
            raise DcsUnavailableError(f"etcd: {url}{path}: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()

    def interrupt(self) -> None:
        """End a stream that another thread is reading."""
        streaming = self._streaming
        if streaming is not None:
            streaming.interrupt()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    def _ask(self, endpoint: str, path: str, body: object, *, until: Instant, connect_until: Instant) -> Json:
        for attempt in (1, 2):
            try:
                headers = self._headers(endpoint, connect_until)
                return self._answer(endpoint, path, self._post(endpoint, path, body, headers, until, connect_until))
            except RejectedError as error:
                if attempt == 2 or not _wants_token(error) or self._settings.username is None:  # noqa: PLR2004
                    raise
                self._token = None  # expired, forgotten, or signed before a change of users or roles: nothing was carried out
            except Broken:
                self._token = None  # one of a store that has gone back since makes etcd wait until it is as far again
                raise
        raise AssertionError("unreachable")

    def _headers(self, endpoint: str, until: Instant) -> dict[str, str]:
        if self._settings.username is None:
            return {}
        if self._token is None:
            question = {"name": self._settings.username, "password": self._settings.password}
            reply = self._post(endpoint, "auth/authenticate", question, {}, until, until)
            try:
                self._token = str(self._answer(endpoint, "auth/authenticate", reply).get("token", ""))
            except RejectedError as error:
                if error.code != _PRECONDITION:
                    raise
                self._token = ""  # the cluster does not ask who we are
        return {"Authorization": self._token} if self._token else {}

    def _post(self, endpoint: str, path: str, body: object, headers: Mapping[str, str], until: Instant, connect_until: Instant) -> Reply:
        connection = self._connections.get(endpoint)
        if connection is None:
            connection = self._connections[endpoint] = Connection(endpoint, self._resolver, self._clock, self._tls)
        connection.connect(connect_until)
        return connection.ask(_request(path, body, headers), until=until)

    def _answer(self, endpoint: str, path: str, reply: Reply) -> Json:
        try:
            answer = json.loads(reply.body)
        except ValueError as error:
            if _NAMED in reply.body:
                message = f"etcd: {endpoint}: our certificate has a common name, beside users want one without"
                raise RejectedError(message, _DENIED) from error
            raise http.client.HTTPException(f"status {reply.status}, not JSON") from error
        if not isinstance(answer, dict):
            raise http.client.HTTPException(f"status {reply.status}, not an object")
        if reply.status == _OK:
            return answer
        message, code = _message(answer), answer.get("code")
        if code == _NOT_FOUND and "lease" in message:
            raise LeaseLostError(f"etcd: {endpoint}: {path}: {message}", code)
        if code in (_INVALID, _NOT_FOUND, _DENIED, _PRECONDITION, _UNAUTHENTICATED):
            raise RejectedError(f"etcd: {endpoint}: {path}: {message}", code)
        raise http.client.HTTPException(message)


def encryption(settings: EtcdSettings) -> Encryption:
    """Build what encrypts the connections. The server's certificate is always verified."""
    return Encryption.of(TlsFiles.of("etcd3", settings))


def _request(path: str, body: object, headers: Mapping[str, str]) -> Request:
    content = json.dumps(body).encode()
    return Request(method="POST", path=_API + path, body=content, headers={"Content-Type": "application/json", **headers})


def _wants_token(error: RejectedError) -> bool:
    return error.code == _UNAUTHENTICATED or any(words in str(error) for words in _TOKEN_WORDS)


def _message(answer: Json) -> str:
    error = answer.get("error", answer)
    return str(error.get("message", error) if isinstance(error, dict) else answer.get("message", error))
