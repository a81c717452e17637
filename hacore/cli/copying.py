"""Whether a standby that a person wanted created again has become so, as its status documents tell before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class NotCopiedError(Exception):
    """The standby runs on with the data that it had; the text says why."""


@dataclass(slots=True)
class Copy:
    """One standby on its way to new data.

    That it runs says nothing: it runs on until the copy can begin, and again, with its old data, where the copy was refused.
    """

    before: Mapping[str, Any]  # its status document before it was asked
    was_open: bool = False

    def is_complete(self, now: Mapping[str, Any]) -> bool:
        """Tell whether it runs with new data.

        :param now: its status document; empty where it does not answer.
        :raises NotCopiedError: it will not.
        """
        wish = _wish(now)
        if is_open(now):
            self.was_open = True
            return False
        if now.get("state") != "running":
            return False
        if wish and wish != _wish(self.before):
            raise NotCopiedError(f"it runs with its old data: {wish.get('error')}")
        started = now.get("postmaster_start_time")
        if started is not None and started != self.before.get("postmaster_start_time"):
            return True
        if self.was_open:
            raise NotCopiedError("it runs with its old data, reinitialize was given up: its log says why")
        return False


def is_open(document: Mapping[str, Any]) -> bool:
    """Tell whether what a person asked for is to be done yet, or goes on."""
    return _wish(document).get("state") == "goes on"


def said_of(document: Mapping[str, Any]) -> str:
    """Return what a standby does, for people; empty where it does not answer."""
    state = str(document.get("state", ""))
    own = document.get("hacore")
    return f"{state} ({own['reason']})" if is_open(document) and isinstance(own, Mapping) and own.get("reason") else state


def _wish(document: Mapping[str, Any]) -> Mapping[str, Any]:
    own = document.get("hacore")
    found = own.get("reinitialize") if isinstance(own, Mapping) else None
    return found if isinstance(found, Mapping) else {}
