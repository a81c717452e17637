"""A request from bytes, by gunicorn's parser, and the environment in which the application sees it.

Whole requests only: the caller has read the head, and later the body, before anything here is called. Limits stand here.
"""

import io
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

HEAD_BYTES: Final = 32 << 10
LINE_BYTES: Final = 4094
BODY_BYTES: Final = 1 << 20
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class BadRequestError(Exception):
    """A request is refused before the application sees it."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who asks, over which kind of connection."""

    host: str
    port: int
    is_tls: bool = False
    has_certificate: bool = False  # one that the CA has signed: nothing else passes the handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request line and its headers."""

    method: str
    path: str  # decoded, bytes above ASCII as Latin-1 (PEP 3333)
    query: str
    headers: tuple[tuple[str, str], ...]
    body_length: int | None  # None: not told


def parser_config() -> Config:
    """Return gunicorn's settings for the parser: its own limits, nothing believed that only a proxy of ours could say."""
    config = Config()
    config.set("limit_request_line", LINE_BYTES)
    config.set("limit_request_fields", 64)
    config.set("limit_request_field_size", 8190)
    config.set("forwarded_allow_ips", "")
    config.set("secure_scheme_headers", {})
    config.set("http_parser", "python")  # the one in C saves little and has leaked
    return config


def parse_head(data: bytes, peer: Peer, config: Config) -> Head:
    """Read request line and headers, up to and with the empty line.

    :raises BadRequestError: with the status to answer.
    """
    try:
        found = Request(config, IterUnreader([data]), (peer.host, peer.port))
    except errors.LimitRequestLine as error:
        raise BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long") from error
    except errors.LimitRequestHeaders as error:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large") from error
    except errors.InvalidRequestMethod as error:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED, "unsupported method") from error
    except errors.InvalidHTTPVersion as error:
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0 and HTTP/1.1 are spoken here") from error
    except (errors.ParseException, StopIteration) as error:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "the request cannot be understood") from error
    if found.method not in METHODS:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED, "unsupported method")
    headers = tuple(found.headers)
    # Decoded here, once: what chooses the thread and what chooses the answer must see the same path.
    path = unquote_to_bytes(found.path).decode("latin-1") if "%" in found.path else found.path
    return Head(method=found.method, path=path, query=found.query, headers=headers, body_length=_body_length(headers))


def environ(head: Head, body: bytes, peer: Peer, server: tuple[str, int]) -> dict[str, Any]:
    """Return what a WSGI application is called with (PEP 3333)."""
    found: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": head.path,
        "QUERY_STRING": head.query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.0",
        "REMOTE_ADDR": peer.host,
        "REMOTE_PORT": str(peer.port),
        "CONTENT_LENGTH": str(len(body)) if head.body_length is not None else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if peer.is_tls else "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "hacore.peer": peer,
    }
    found.update(_as_variables(head.headers))
    return found


def _as_variables(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name == "CONTENT-LENGTH":
            continue
        key = "CONTENT_TYPE" if name == "CONTENT-TYPE" else f"HTTP_{name.replace('-', '_')}"
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def _body_length(headers: tuple[tuple[str, str], ...]) -> int | None:
    found = dict(headers)
    if "TRANSFER-ENCODING" in found:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED, "a body needs a Content-Length")
    if "CONTENT-LENGTH" not in found:
        return None
    text = found["CONTENT-LENGTH"]
    if not (text.isascii() and text.isdigit()):
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    length = int(text[:20])
    if length > BODY_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {BODY_BYTES} bytes")
    return length
