"""Whether a standby that a person wanted created again has become so, as its status documents tell before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class NotCopiedError(Exception):
    """The standby runs on with the data that it had; the text says why."""


@dataclass(slots=True)
class Copy:
    """One standby on its way to new data.

    That it runs says nothing: it runs on until the copy can begin, and again, with its old data, where the copy was refused. Nor does
    that it was started since, where it says what has become of the wish: it may have been restarted, and its agent have lost the wish.
    """

    before: Mapping[str, Any]  # its status document before it was asked
    was_open: bool = False
    was_done: bool = False

    def is_complete(self, now: Mapping[str, Any]) -> bool:
        """Tell whether it runs with new data.

        :param now: its status document; empty where it does not answer.
        :raises NotCopiedError: it will not.
        """
        wish = _wish(now)
        news = wish.get("state") if wish != _wish(self.before) else None
        self.was_open = self.was_open or is_open(now)
        self.was_done = self.was_done or news == "done"
        if is_open(now) or now.get("state") != "running":
            return False
        if news == "failed":
            raise NotCopiedError(f"it runs with its old data: {wish.get('error')}")
        started = now.get("postmaster_start_time")
        if self.was_done or started is None:  # not known: its agent is silent
            return self.was_done
        if self.was_open:
            raise NotCopiedError("it runs with its old data, reinitialize was given up: its log says why")
        return bool(started != self.before.get("postmaster_start_time"))


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
