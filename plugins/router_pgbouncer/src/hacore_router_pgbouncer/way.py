"""Where the databases of one PgBouncer lead: it reads the file, and shows that it did."""

from pathlib import Path
from typing import Final

from hacore.interfaces import Endpoint, RoutingState
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.databases_file import DatabasesFile
from hacore_router_pgbouncer.settings import PgbouncerSettings

_NONE: Final = -1


class Way:
    """What this agent has said of it."""

    def __init__(self, settings: PgbouncerSettings, bouncer: Bouncer, file: DatabasesFile) -> None:
        self._settings, self._bouncer, self._file = settings, bouncer, file
        self._has_read = _NONE  # which edition of the file; not known of an agent before this one
        self._led_to: tuple[str, int] | None = None  # where writes went last, as this agent has said it
        self._was_held = False  # since writes went there: a planned switchover

    def lead(self, state: RoutingState) -> str:
        """Say where the databases lead, where PgBouncer does not know yet; return what does not lead there.

        :raises PluginUnavailableError: PgBouncer does not answer.
        """
        path, wrong = self._settings.databases_file, self._file.problem
        if path is not None and not wrong:
            edition = self._file.edition
            if self._has_read != edition:
                self._bouncer.reload()
            wrong = self._not_taken(path, state.leader)
            self._has_read = _NONE if wrong else edition  # a RELOAD is lost where the console did not answer: it is told again
        self.follow(state)
        return wrong or self._file.obstacle()

    def follow(self, state: RoutingState) -> None:
        """Without a file: end what is with a server that does not lead any more, and may have gone without a word.

        Not after a planned stop, which ends sessions itself. The leader alone does it, as it is the first to know: a late one would break
        logins at the next primary, and clients see that.
        """
        self._was_held = self._was_held or state.hold is not None
        if state.leader is None:
            return
        place = (state.leader.host, state.leader.port)
        is_new = self._settings.databases_file is None and self._led_to not in {None, place}
        if is_new and state.leads and not self._was_held:
            self._bouncer.reconnect()
        self._led_to, self._was_held = place, state.hold is not None

    def _not_taken(self, path: Path, leader: Endpoint | None) -> str:
        """Return what PgBouncer leads elsewhere: its RELOAD says yes also to files that it cannot read."""
        if leader is None:
            return ""
        found, name = self._bouncer.databases(), self._bouncer.name
        ours = [one.name for one in self._settings.databases]
        missing = [one for one in ours if one not in found]
        if missing:
            return f"PgBouncer {name} does not know {', '.join(missing)}: does pgbouncer.ini include {path}? its log says more"
        wrong = [one for one in ours if (found[one]["host"], int(found[one]["port"])) != (leader.host, leader.port)]
        return f"PgBouncer {name} leads {', '.join(wrong)} elsewhere than {path} says, its log says why" if wrong else ""
