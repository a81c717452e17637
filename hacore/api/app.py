"""The Falcon application: which path and method is answered by what (interface reference 4).

A path without an answer of its own is a health check for GET, HEAD and OPTIONS, and 501 for everything else.
"""

import importlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import falcon

from hacore.api import health
from hacore.api.access import Access
from hacore.api.request import Peer
from hacore.api.response import error_page, status_text
from hacore.api.view import View
from hacore.control.wire import ControlError, Reply

logger = logging.getLogger(__name__)

STATUS_LINE_ONLY: Final = "hacore.status_line_only"  # set in the environment of an answer that is nothing but a status line
_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=utf-8"
_OK: Final = status_text(200)
_UNAVAILABLE: Final = status_text(503)

AskAgent = Callable[[Mapping[str, object]], Reply]


class Checked:
    """Base of every path: health checks by GET, HEAD and OPTIONS."""

    def __init__(self, view: View) -> None:
        self._view = view

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer a health check with the status document, whatever the code."""
        del rest
        check = self._view.check(request.path, request.query_string)
        response.status = _code(passed=health.passes(request.path, check))
        response.content_type = _JSON
        fresh = health.needs_position(request.path, request.query_string)
        response.data = self._view.document(check) if fresh else self._view.shared_document(check)

    def on_head(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer a health check with a status line alone."""
        del rest
        check = self._view.check(request.path, request.query_string)
        _line_only(request, response, passed=health.passes(request.path, check))

    def on_options(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer as HEAD does: proxies check this way."""
        self.on_head(request, response, rest)


class Status(Checked):
    """``/patroni``."""

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer with the status document, always 200."""
        del request, rest
        response.content_type = _JSON
        response.data = self._view.document(self._view.fresh())


class Liveness(Checked):
    """``/liveness``."""

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Tell whether the loop still turns."""
        del rest
        seen = self._view.reader.read()
        _line_only(request, response, passed=health.live(seen, self._view.clock.now(), self._view.started_at))


class Readiness(Checked):
    """``/readiness``."""

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Tell whether the node may be counted on."""
        del rest
        check = self._view.check("/readiness", request.query_string)
        _line_only(request, response, passed=health.ready(check))


class Metrics(Checked):
    """``/metrics``."""

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Render all metrics."""
        del request, rest
        # Imported when it is first asked for: nodes that nobody scrapes do without the library.
        metrics = importlib.import_module("hacore.api.metrics")
        check = self._view.fresh()
        response.content_type = metrics.CONTENT_TYPE
        response.data = metrics.render(check.seen, check.measured, check.now)


class Failsafe(Checked):
    """``/failsafe``: a feature that does not work yet."""

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Say that it is off."""
        del request, response, rest
        raise falcon.HTTPError(502, description="failsafe mode is disabled")

    def on_post(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Say that it is off."""
        self.on_get(request, response, rest)


class Need(Enum):
    """Of a body."""

    NONE = auto()
    OPTIONAL = auto()
    REQUIRED = auto()


@dataclass(frozen=True, slots=True)
class Operation:
    """What the agent is asked to do."""

    name: str
    body: Need = Need.NONE
    then: Callable[[], None] = lambda: None  # afterwards, here


class Asked(Checked):
    """A path whose answers only the agent has; a method without an operation is 501, GET without one a health check."""

    def __init__(self, view: View, ask: AskAgent, operations: Mapping[str, Operation]) -> None:
        super().__init__(view)
        self._ask, self._operations = ask, operations

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Ask for a document."""
        if "GET" in self._operations:
            self.on_post(request, response, rest)
        else:
            super().on_get(request, response, rest)

    def on_post(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Pass a command on."""
        del rest
        operation = self._operations.get(request.method)
        if operation is None:
            raise falcon.HTTPMethodNotAllowed(list(self._operations))
        asked: dict[str, object] = {"op": operation.name}
        if operation.body is not Need.NONE:
            asked["body"] = _body(request, optional=operation.body is Need.OPTIONAL)
        try:
            reply = self._ask(asked)
        except ControlError as error:
            logger.warning("agent did not answer", extra={"command": operation.name, "error": str(error)})
            raise falcon.HTTPError(503, description="the agent did not answer") from error
        _write(response, reply)
        operation.then()

    on_put = on_post
    on_patch = on_post
    on_delete = on_post


class Gate:
    """Middleware: nobody changes anything who is not allowed to."""

    def __init__(self, access: Callable[[], Access]) -> None:
        self._access = access

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Refuse before any other look at the request."""
        del response
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return
        peer: Peer = request.env["hacore.peer"]
        denied = self._access().denied(peer, request.env.get("HTTP_AUTHORIZATION"), from_member=request.path == "/failsafe")
        if denied is not None:
            headers = {"WWW-Authenticate": denied.challenge} if denied.challenge else {}
            raise falcon.HTTPStatus(denied.status, headers={**headers, "Content-Type": _HTML}, text=denied.text)


def application(view: View, access: Callable[[], Access], ask: AskAgent, reload: Callable[[], None]) -> falcon.App[Any, Any]:
    """Build the application."""
    app: falcon.App[Any, Any] = falcon.App(middleware=[Gate(access)])
    app.req_options.strip_url_path_trailing_slash = True
    app.set_error_serializer(_write_error)
    app.add_error_handler(falcon.HTTPMethodNotAllowed, _no_such_method)
    resources: dict[str, Checked] = {
        "patroni": Status(view),
        "liveness": Liveness(view),
        "readiness": Readiness(view),
        "metrics": Metrics(view),
        "failsafe": Failsafe(view),
    }
    for name, operations in _operations(reload).items():
        resources[name] = Asked(view, ask, operations)
    for name, resource in resources.items():
        app.add_route(f"/{name}", resource)
        app.add_route(f"/{name}/{{rest:path}}", resource)
    anything = Checked(view)
    app.add_route("/", anything)
    app.add_route("/{rest:path}", anything)
    return app


def _operations(reload: Callable[[], None]) -> dict[str, dict[str, Operation]]:
    return {
        "cluster": {"GET": Operation("cluster")},
        "history": {"GET": Operation("history")},
        "config": {
            "GET": Operation("config"),
            "PATCH": Operation("config_patch", Need.REQUIRED),
            "PUT": Operation("config_put", Need.REQUIRED),
        },
        "switchover": {"POST": Operation("switchover", Need.REQUIRED), "DELETE": Operation("switchover_cancel")},
        "failover": {"POST": Operation("failover", Need.REQUIRED)},
        "restart": {"POST": Operation("restart", Need.OPTIONAL), "DELETE": Operation("restart_cancel")},
        "reload": {"POST": Operation("reload", then=reload)},
        "backups": {
            "GET": Operation("backups"),
            "POST": Operation("backup_begin", Need.OPTIONAL),
            "DELETE": Operation("backup_cancel"),
        },
        "restore": {
            "GET": Operation("restore_show"),
            "POST": Operation("restore", Need.REQUIRED),
            "DELETE": Operation("restore_cancel"),
        },
        "reinitialize": {"POST": Operation("reinitialize", Need.OPTIONAL)},
    }


def _code(*, passed: bool) -> str:
    return _OK if passed else _UNAVAILABLE


def _line_only(request: falcon.Request, response: falcon.Response, *, passed: bool) -> None:
    request.env[STATUS_LINE_ONLY] = True
    response.status = _code(passed=passed)


def _body(request: falcon.Request, *, optional: bool = False) -> dict[str, Any]:
    """Read the JSON object of the request."""
    if not request.env["CONTENT_LENGTH"] and not optional:
        raise falcon.HTTPError(HTTPStatus.LENGTH_REQUIRED, description="a body is needed, and its Content-Length")
    data = request.env["wsgi.input"].read()
    if not data and optional:
        return {}
    try:
        found = json.loads(data, parse_constant=_refuse_constant)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # 1e999, half of a surrogate pair: each later write would fail
    except (ValueError, RecursionError) as error:
        raise falcon.HTTPBadRequest(description="the body is not JSON") from error
    if not isinstance(found, dict) or (not found and not optional):
        raise falcon.HTTPBadRequest(description="the body is not a JSON object with something in it")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _write(response: falcon.Response, reply: Reply) -> None:
    response.status = status_text(reply.status)
    response.set_headers(dict(reply.headers))
    if reply.document is not None:
        response.content_type, response.data = _JSON, reply.document.encode()
    else:
        response.content_type, response.data = _HTML, reply.text.encode()


def _write_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    del request
    response.content_type = _HTML
    response.data = error_page(int(error.status_code), error.description or error.title or "")


def _no_such_method(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, params: Mapping[str, Any]) -> None:
    del request, error, params
    response.status = status_text(HTTPStatus.NOT_IMPLEMENTED)
    response.content_type = _HTML
    response.data = error_page(HTTPStatus.NOT_IMPLEMENTED, "unsupported method")
