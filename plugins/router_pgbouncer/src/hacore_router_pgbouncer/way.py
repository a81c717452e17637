"""Where the databases of one PgBouncer lead: the file is written, PgBouncer reads it, and shows that it did."""

from hacore.interfaces import RoutingState
from hacore_router_pgbouncer import targets
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.settings import PgbouncerSettings


class Way:
    """What this agent has said of it, and what stands in the file."""

    def __init__(self, settings: PgbouncerSettings, bouncer: Bouncer) -> None:
        self._settings, self._bouncer = settings, bouncer
        self._led_to: tuple[str, int] | None = None  # where writes went last, as this agent has said it
        self._was_held = False  # since writes went there: a planned switchover

    def is_outdated(self, state: RoutingState) -> bool:
        """Tell whether the file was written under a newer token."""
        path = self._settings.databases_file
        return path is not None and targets.token_of(targets.read(path)) > state.token

    def lead(self, state: RoutingState) -> None:
        """Say where the databases lead, where that is another place than before."""
        path, leader = self._settings.databases_file, state.leader
        if path is not None and (leader is not None or not self._settings.waits_without_leader or not path.exists()):
            wanted = targets.render(self._settings, state)
            if wanted != targets.read(path):
                targets.write(path, wanted)
                self._bouncer.reload()
            elif self._led_to is None:
                self._bouncer.reload()  # the agent before this one may have ended between its two steps
        self._was_held = self._was_held or state.hold is not None
        if leader is None:
            return
        place = (leader.host, leader.port)
        if path is None and self._led_to not in {None, place} and not self._was_held:
            # Sessions that are idle now may be with a server that has gone without a word. Not after a planned stop, which ends them
            # itself: where several agents name one console, a late one would break the logins at the next primary, and clients see that
            self._bouncer.reconnect()
        self._led_to, self._was_held = place, state.hold is not None

    def not_taken(self, state: RoutingState) -> str:
        """Return what PgBouncer leads elsewhere: its RELOAD says yes also to files that it cannot read."""
        path, leader = self._settings.databases_file, state.leader
        if path is None or leader is None:
            return ""
        found = self._bouncer.databases()
        names = [one.name for one in self._settings.databases]
        missing = [name for name in names if name not in found]
        if missing:
            return f"PgBouncer does not know {', '.join(missing)}: does pgbouncer.ini include {path}? its log says more"
        wrong = [name for name in names if (found[name]["host"], int(found[name]["port"])) != (leader.host, leader.port)]
        return f"PgBouncer leads {', '.join(wrong)} elsewhere than {path} says, its log says why" if wrong else ""
