"""How the REST process and the command line talk to the agent: one line of JSON each way on a Unix socket, one request per connection.

It knows the framing and the limits, not the commands. Every wait has a deadline.
"""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SOCKET_NAME: Final = "agent.sock"
REQUEST_BYTES: Final = 2 << 20
REPLY_BYTES: Final = 16 << 20
_PATH_BYTES: Final = 107  # of sockaddr_un (unix(7))
_CONNECT_S: Final = 2.0


class ControlError(Exception):
    """The agent could not be asked, or what it said was no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the agent answers: an HTTP status, and a text for people or a document for programs."""

    status: int
    text: str = ""
    document: str | None = None  # JSON text, passed on as it is
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(value: object, status: int = 200) -> Reply:
    """Answer with a document."""
    return Reply(status=status, document=json.dumps(value, default=str))


def warning(said: Iterable[str]) -> dict[str, str]:
    """Return the header ``Warning`` (RFC 7234, 5.5; code 199) for what is good and yet should be known; none where nothing is said."""
    value = ", ".join(f'199 hacore "{one}"' for one in (" ".join(one.replace("\\", "").replace('"', "'").split()) for one in said))
    return {"Warning": value.encode("ascii", "replace").decode()} if value else {}


def encode_reply(reply: Reply) -> bytes:
    """Write a reply as one line."""
    return _line({"status": reply.status, "text": reply.text, "document": reply.document, "headers": dict(reply.headers)})


def decode_reply(line: bytes) -> Reply:
    """Read a reply.

    :raises ControlError: it is none.
    """
    found = decode_request(line)
    status, text, document, headers = (found.get(name) for name in ("status", "text", "document", "headers"))
    if not isinstance(status, int) or not isinstance(text, str) or not isinstance(document, str | None) or not isinstance(headers, dict):
        raise ControlError("the agent's answer has no status, text or document")
    return Reply(status=status, text=text, document=document, headers={str(name): str(value) for name, value in headers.items()})


def decode_request(line: bytes) -> dict[str, Any]:
    """Read one line of JSON.

    :raises ControlError: it is none.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ControlError("not a JSON object")
    return found


def ask(path: Path, request: Mapping[str, object], *, timeout_s: float) -> Reply:
    """Send one request and wait for its reply.

    :raises ControlError: no agent listens there, or it did not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with _connected(path, min(_CONNECT_S, timeout_s)) as connection:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.sendall(_line(request))
            return decode_reply(read_line(connection, limit=REPLY_BYTES, deadline=deadline))
    except TimeoutError as error:
        raise ControlError(f"{path}: the agent did not answer within {timeout_s:g} s") from error
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}") from error


def read_line(connection: socket.socket, *, limit: int, deadline: float) -> bytes:
    """Read up to the end of a line; ``deadline`` is of ``time.monotonic``.

    :raises ControlError: the other side closed before, or the line is too long.
    :raises TimeoutError: the time is over.
    """
    chunks: list[bytes] = []
    total = 0
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise ControlError("closed before the end of the answer")
        chunks.append(chunk)
        total += len(chunk)
        if chunk.endswith(b"\n"):
            return b"".join(chunks)
        if total > limit:
            raise ControlError(f"longer than {limit} bytes")


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Give an address for ``path`` that fits into the kernel's limit: through the directory's descriptor where it is longer."""
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@contextmanager
def _connected(path: Path, timeout_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, address(path) as short:
        connection.settimeout(timeout_s)
        connection.connect(short)
        yield connection


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"
