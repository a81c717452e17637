"""Where the databases of one PgBouncer lead: the file is written, PgBouncer reads it, and shows that it did."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Endpoint, RoutingState
from hacore.model.clock import Instant
from hacore_router_pgbouncer import targets
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.settings import PgbouncerSettings


class Way:
    """What this agent has said of it, and what stands in the file."""

    def __init__(self, settings: PgbouncerSettings, bouncer: Bouncer, others: Iterable[Bouncer] = ()) -> None:
        self._settings, self._bouncer, self._others = settings, bouncer, tuple(others)
        self._is_read = False  # PgBouncer has read what stands in the file; not known of an agent before this one
        self._led_to: tuple[str, int] | None = None  # where writes went last, as this agent has said it
        self._was_held = False  # since writes went there: a planned switchover

    def newer(self, state: RoutingState, now: Instant) -> str:
        """Return why this state is not for the file: it was written under a newer token.

        Who holds the lease now is the newest there can be, whatever an earlier cluster of the same name has left in the file.
        """
        path = self._settings.databases_file
        if path is None or (state.leads and state.valid_until is not None and state.valid_until > now):
            return ""
        token = targets.token_of(targets.read(path))
        return f"{path} was written under token {token}, this node knows {state.token}" if token > state.token else ""

    def obstacle(self) -> str:
        """Return what would keep the file from being written."""
        path = self._settings.databases_file
        return f"{path.parent} is not writable" if path is not None and not os.access(path.parent, os.W_OK | os.X_OK) else ""

    def lead(self, state: RoutingState) -> str:
        """Say where the databases lead, where PgBouncer does not know yet; return what does not lead there.

        :raises PluginUnavailableError: PgBouncer does not answer.
        """
        path, leader, wrong = self._settings.databases_file, state.leader, ""
        if path is not None:
            try:
                self._write(path, state)
            except PluginUnavailableError as error:
                return str(error)
            if not self._is_read:
                self._bouncer.reload()
            wrong = self._not_taken(path, leader)
            self._is_read = not wrong  # what it has not taken it is told again: a RELOAD is lost where the console did not answer
        self._was_held = self._was_held or state.hold is not None
        if leader is not None:
            self._follow((leader.host, leader.port), state)
        return wrong or self.obstacle()

    def _write(self, path: Path, state: RoutingState) -> None:
        """Have the file say it. While nobody leads writers wait for where they were led to; readers do not."""
        there = targets.read(path)
        stands = state.leader is None and self._settings.waits_without_leader and targets.token_of(there)
        wanted = targets.with_standbys(self._settings, state, there) if stands else targets.render(self._settings, state)
        if wanted != there:
            self._is_read = False
            targets.write(path, wanted)

    def _follow(self, place: tuple[str, int], state: RoutingState) -> None:
        """Without a file: end what is with a server that does not lead any more, and may have gone without a word.

        Not after a planned stop, which ends sessions itself. The leader alone does it, as it is the first to know: a late one would break
        logins at the next primary, and clients see that.
        """
        is_new = self._settings.databases_file is None and self._led_to not in {None, place}
        if is_new and state.leads and not self._was_held:
            self._bouncer.reconnect()
            for one in self._others:
                with suppress(PluginUnavailableError):
                    one.reconnect()
        self._led_to, self._was_held = place, state.hold is not None

    def _not_taken(self, path: Path, leader: Endpoint | None) -> str:
        """Return what PgBouncer leads elsewhere: its RELOAD says yes also to files that it cannot read."""
        if leader is None:
            return ""
        found = self._bouncer.databases()
        names = [one.name for one in self._settings.databases]
        missing = [name for name in names if name not in found]
        if missing:
            return f"PgBouncer does not know {', '.join(missing)}: does pgbouncer.ini include {path}? its log says more"
        wrong = [name for name in names if (found[name]["host"], int(found[name]["port"])) != (leader.host, leader.port)]
        return f"PgBouncer leads {', '.join(wrong)} elsewhere than {path} says, its log says why" if wrong else ""
