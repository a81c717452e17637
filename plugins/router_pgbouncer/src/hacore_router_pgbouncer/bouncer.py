"""One PgBouncer as a router drives it: what it shows, and its pauses. It does not know who leads."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from hacore_router_pgbouncer.console import CommandRefusedError, Console, Row

_LOOK_S: Final = 0.02


class Bouncer:
    """The databases of one PgBouncer that are ours."""

    def __init__(self, console: Console, names: Iterable[str]) -> None:
        self._console = console
        self.names = tuple(names)

    @property
    def name(self) -> str:
        """Where its console is."""
        return self._console.name

    @property
    def is_here(self) -> bool:
        """Tell whether it is on this machine, as far as it was reached."""
        return self._console.is_here

    def databases(self) -> dict[str, Row]:
        """Return what it shows of our databases, by name; it may not know some yet."""
        return {str(row["name"]): row for row in self._console.command("SHOW DATABASES") if row["name"] in self.names}

    def pools(self) -> tuple[Row, ...]:
        """Return what it shows of the pools of our databases."""
        return tuple(row for row in self._console.command("SHOW POOLS") if row["database"] in self.names)

    def settings(self) -> dict[str, str]:
        """Return its settings."""
        return {str(row["key"]): str(row["value"]) for row in self._console.command("SHOW CONFIG")}

    def paused(self) -> frozenset[str]:
        """Return the names of those that are paused."""
        return paused_of(self.databases())

    def reload(self) -> None:
        """Let it read its files again: sessions to targets that are none any more end as soon as they are idle."""
        self._console.command("RELOAD")

    def reconnect(self) -> None:
        """Let every session to a server end as soon as it is idle: behind the same address there is another server now."""
        for name in self.databases():
            self._console.command(f"RECONNECT {_quoted(name)}")

    def hold(self) -> None:
        """Let new work wait, without waiting for what is under way. One that is paused stays so."""
        for name in self.databases().keys() - self.paused():
            self._console.begin(f"PAUSE {_quoted(name)}")
            self._console.is_done(_LOOK_S)
            self._console.close()  # the pause stays in force; the session waits for those who work, and would be in our way

    def pause(self, wait: Callable[[float], None], is_late: Callable[[], bool]) -> bool:
        """Let new work wait, and wait until none is under way; tell whether that was in time."""
        for name in self.databases():
            self._console.begin(f"PAUSE {_quoted(name)}")
            while not self._console.is_done(0.0):
                if is_late():
                    self._console.close()
                    self.hold()
                    return False
                wait(_LOOK_S)
        return True

    def resume(self) -> frozenset[str]:
        """Let go what is paused; return the names of those that were."""
        paused = self.paused()
        for name in paused:
            with suppress(CommandRefusedError):  # somebody else was faster
                self._console.command(f"RESUME {_quoted(name)}")
        return paused

    def close(self) -> None:
        """End the session."""
        self._console.close()


def paused_of(databases: Mapping[str, Row]) -> frozenset[str]:
    """Return the names of those that are paused."""
    return frozenset(name for name, row in databases.items() if str(row.get("paused")) not in {"0", "None", "False", ""})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
