"""The file that says where databases lead, for every PgBouncer of the section. It knows none of them, nor who has read it."""

import os
from pathlib import Path

from hacore.errors import PluginUnavailableError
from hacore.interfaces import RoutingState
from hacore.model.clock import Instant
from hacore_router_pgbouncer import targets
from hacore_router_pgbouncer.settings import PgbouncerSettings


class DatabasesFile:
    """What stands there, where the settings name one."""

    def __init__(self, settings: PgbouncerSettings) -> None:
        self._settings = settings
        self.edition = 0  # how often this agent has written it
        self.problem = ""  # what kept it from being written

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

    def keep(self, state: RoutingState) -> None:
        """Have it say where the databases lead, or note what is in the way."""
        self.problem = ""
        path = self._settings.databases_file
        if path is not None:
            try:
                self._write(path, state)
            except PluginUnavailableError as error:
                self.problem = str(error)

    def _write(self, path: Path, state: RoutingState) -> None:
        """Write what differs. While nobody leads writers wait for where they were led to; readers do not."""
        there = targets.read(path)
        stands = state.leader is None and self._settings.waits_without_leader and targets.token_of(there)
        wanted = targets.with_standbys(self._settings, state, there) if stands else targets.render(self._settings, state)
        if wanted != there:
            self.edition += 1
            targets.write(path, wanted)
