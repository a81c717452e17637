"""The file by which an agent that is started again goes on with the session of its predecessor, with all that hangs on it.

A session belongs to one agent at a time: whoever opens the file last is its owner, and the one before lets go when it finds that out. Where
nothing can be written the file goes on naming the predecessor, and nobody has taken it. A file of another boot counts for nothing: what a
copy of this machine might find in it is the right to disturb us.
"""

import contextlib
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Final, NamedTuple

FILE_NAME: Final = "zookeeper-session.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
logger = logging.getLogger(__name__)


class Session(NamedTuple):
    """What a server knows a client by."""

    number: int
    password: bytes


class SessionFile:
    """One agent's view of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = uuid.uuid4().hex
        self._named = self._owner  # in the file, as long as nobody has taken the session over from us

    def take(self) -> Session | None:
        """Return the session that stands in the file, and become its owner."""
        found = self._read()
        self._named = found.get("owner", self._owner)
        session = None
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if found["boot"] == _boot():
                session = Session(int(found["session"]), bytes.fromhex(found["password"]))
        self.write(session)
        return session

    def write(self, session: Session | None) -> None:
        """Put a session in the file, which only its owner may read, and have it on the disk. Without it, a successor starts anew."""
        try:
            self._replace(session)
        except OSError as error:
            logger.warning("the session cannot be kept for a successor", extra={"file": str(self.path), "error": str(error)})
        else:
            self._named = self._owner

    def _replace(self, session: Session | None) -> None:
        content = {"boot": _boot(), "owner": self._owner}
        if session is not None:
            content |= {"session": str(session.number), "password": session.password.hex()}
        beside = self.path.with_name(f"{self.path.name}.{self._owner}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def is_ours(self) -> bool:
        """Tell whether nobody has taken the session over since."""
        return self._read().get("owner", self._named) == self._named

    def _read(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.path.read_text())
            return found if isinstance(found, dict) else {}
        return {}


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
