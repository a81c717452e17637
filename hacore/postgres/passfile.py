"""Password files of libpq (PostgreSQL documentation 34.16): the only place outside of memory where we put a password."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from hacore.config.settings import ConnectionSettings
from hacore.postgres.files import write_durably


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One line: who connects where. ``*`` is any."""

    host: str
    port: int | str
    user: str
    password: str = field(repr=False)

    def line(self) -> str:
        """Write the line, with colons and backslashes escaped."""
        parts = (self.host, str(self.port), "*", self.user, self.password)
        return ":".join(part if part == "*" else part.replace("\\", "\\\\").replace(":", "\\:") for part in parts)


def login(connection: ConnectionSettings, host: str, port: int | str) -> tuple[Login, ...]:
    """Return the line for a connection; none where it has no password."""
    if not connection.password:
        return ()
    return (Login(host=host, port=port, user=connection.username or "*", password=connection.password),)


def write_passfile(path: Path, logins: Iterable[Login]) -> None:
    """Write a password file that only its owner may read, as libpq demands."""
    lines = dict.fromkeys(entry.line() for entry in logins)
    text = "".join(f"{line}\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_mode & 0o777 != 0o600 or path.read_text(encoding="utf-8", errors="replace") != text:  # noqa: PLR2004
        write_durably(path, text)


@contextmanager
def temporary_passfile(directory: Path, logins: Iterable[Login]) -> Iterator[Path]:
    """A password file for the time of a block."""
    path = directory / f"pgpass.{uuid4().hex}"
    write_passfile(path, logins)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
