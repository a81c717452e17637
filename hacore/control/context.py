"""What every command is given, and how a value that a person sent is read. It knows no single command."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hacore.control.port import Backups, Loop
from hacore.control.wire import Reply
from hacore.errors import HacoreError
from hacore.model.clock import Clock
from hacore.model.world import Decision, World
from hacore.ports import Peers
from hacore.publish.picture import Figures

STORE_S: Final = 5.0
_SHORTEST_S: Final = 0.05


def new_id() -> str:
    """Return a name for a command that no other has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The loop, the other members and the clock."""

    loop: Loop
    peers: Peers
    clock: Clock
    figures: Callable[[], Figures] = Figures
    backups: Backups | None = None
    new_id: Callable[[], str] = new_id

    def latest(self) -> tuple[World, Decision]:
        """Return the newest turn.

        :raises RefusedError: there was none yet.
        """
        found = self.loop.latest()
        if found is None:
            raise RefusedError(503, "the agent has not made its first turn yet")
        return found

    def budget_s(self, world: World) -> float:
        """Return how long one call to the store may take: it runs in the loop's thread, and the next renewal must not come too late."""
        limit_s = min(STORE_S, world.times.retry_timeout_s)
        if world.lease is None:
            return limit_s
        return max(_SHORTEST_S, min(limit_s, (world.lease.fence_at - self.clock.now()) / 4))


class RefusedError(HacoreError):
    """A command is refused: with this status and text. Raised inside of a command, answered by the one that called it."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)

    def reply(self) -> Reply:
        """Return the refusal as an answer."""
        return Reply(status=self.status, text=self.text)


Body = Mapping[str, Any]
Command = Callable[[Context, Body], Reply]


def text_of(body: Body, name: str) -> str | None:
    """Return a text of the body; empty and null are none.

    :raises RefusedError: it is something else.
    """
    found = body.get(name)
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise RefusedError(400, f"{name}: want text")
    return found


def flag_of(body: Body, name: str) -> bool:
    """Return a flag of the body.

    :raises RefusedError: it is something else.
    """
    found = body.get(name)
    if found is None:
        return False
    if not isinstance(found, bool):
        raise RefusedError(400, f"{name}: want true or false")
    return found


def future(text: str, now: datetime) -> datetime:
    """Read an instant that has yet to come, with its time zone.

    :raises RefusedError: 422 where it cannot be read or has passed, 400 where nobody can know when it is.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise RefusedError(422, f"{text[:80]!r} is not a time; wanted is one like 2030-01-31T23:59:00+00:00") from error
    if found.utcoffset() is None:
        raise RefusedError(400, f"{text[:80]!r} has no time zone, so nobody can know when it is")
    if found < now:
        raise RefusedError(422, f"{text[:80]!r} has passed")
    return found


def only_known(body: Body, known: frozenset[str]) -> None:
    """Refuse a body that says more than the command understands.

    :raises RefusedError: it does.
    """
    unknown = sorted(body.keys() - known)
    if unknown:
        raise RefusedError(400, f"unknown: {', '.join(unknown)[:200]}; known are {', '.join(sorted(known))}")
