"""An answer as bytes: HTTP/1.0, one for each connection (interface reference 4). It knows no path and no status of its own."""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from hacore import __version__
from hacore.config.settings import RestApiSettings

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SERVER: Final[Mapping[str, str]] = {"original": "gunicorn", "minimal": f"hacore/{__version__}", "productonly": "hacore"}


class HeaderError(ValueError):
    """A header cannot be sent: it would end before its end, or begin another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressing:
    """The headers that every full answer carries."""

    server: str = "gunicorn"
    extra: tuple[tuple[str, str], ...] = field(default=())


def dressing(settings: RestApiSettings) -> Dressing:
    """Return the headers that the configuration wants: those of HTTPS come on top of those of HTTP."""
    extra = dict(settings.http_extra_headers)
    if settings.certfile:
        extra |= settings.https_extra_headers
    return Dressing(server=_SERVER[settings.server_tokens], extra=tuple(extra.items()))


def status_line(status: str) -> bytes:
    """Write an answer that is a status line and nothing else."""
    return f"HTTP/1.0 {status}\r\n\r\n".encode("latin-1")


def full(status: str, headers: Iterable[tuple[str, str]], body: bytes, dressed: Dressing) -> bytes:
    """Write a whole answer. Headers of the answer win over those that every answer carries.

    :raises HeaderError: a name or a value would break out of its line.
    """
    own = [(name, value) for name, value in headers if name.lower() not in {"content-length", "connection"}]
    named = {name.lower() for name, _ in own}
    extra = [(name, value) for name, value in dressed.extra if name.lower() not in named]
    always = [("Server", dressed.server), ("Date", formatdate(usegmt=True)), *own, *extra, ("Content-Length", str(len(body)))]
    lines = "".join(f"{_checked(name, value)}: {value}\r\n" for name, value in (*always, ("Connection", "close")))
    return f"HTTP/1.0 {status}\r\n{lines}\r\n".encode("latin-1") + body


def refusal(status: int, text: str, dressed: Dressing) -> bytes:
    """Write an answer that says in HTML why a request was not understood."""
    return full(status_text(status), [("Content-Type", "text/html; charset=utf-8")], error_page(status, text), dressed)


def error_page(status: int, text: str) -> bytes:
    """Return the page for people who look at an error in a browser."""
    line = html.escape(status_text(status))
    return f"<!doctype html>\n<title>{line}</title>\n<h1>{line}</h1>\n<p>{html.escape(text)}</p>\n".encode()


def status_text(status: int) -> str:
    """Return ``503 Service Unavailable`` for 503."""
    return f"{status} {HTTPStatus(status).phrase}"


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise HeaderError(f"header {name!r} cannot be sent")
    return name
