"""The hooks of the PgBouncer router."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, Probe, Route, RouterPlugin, Validate, hookimpl
from hacore.interfaces import (
    Applied,
    Degraded,
    Held,
    Job,
    Layer,
    Metric,
    Observed,
    RouterTraits,
    RoutingState,
    SectionChecker,
)
from hacore.model.clock import Clock, Instant
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.console import Console
from hacore_router_pgbouncer.settings import PgbouncerSettings
from hacore_router_pgbouncer.way import Way

logger = logging.getLogger(__name__)

_LONGEST_LOGIN_RETRY_S: Final = 2.0
_FORGOTTEN_S: Final = 20.0  # a PgBouncer of another node that is paused for so long has lost its agent


class PgbouncerPlugin(RouterPlugin):
    """Leads the databases of PgBouncer to the primary; a planned switchover pauses them meanwhile, so that clients only wait."""

    def __init__(self, settings: PgbouncerSettings) -> None:
        self._settings = settings
        names = [one.name for one in (*settings.databases, *settings.standby_databases)]
        self._own = self._bouncer(settings.console, names)
        self._writing = self._bouncer(settings.console, [one.name for one in settings.databases])  # the same, what leads to the primary
        self._others = tuple(self._bouncer(one, self._writing.names) for one in settings.drain_consoles)
        self._way = Way(settings, self._own)
        self._told: tuple[int, int] = (0, 0)  # token and revision of the newest state
        self._seen_paused_at: dict[str, Instant] = {}

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_router_pgbouncer.schema import PgbouncerSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return PgbouncerSchema

    @staticmethod
    @hookimpl
    def hacore_router_traits() -> RouterTraits:
        """Stand nearest to the client, and hold new work back."""
        return RouterTraits(layer=Layer.POOLER, drains=True)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Check the file's directory; with ``online`` what PgBouncer itself says."""
        path, wrong = self._settings.databases_file, []
        if path is not None and not path.parent.is_dir():
            wrong.append(f"pgbouncer.databases_file: no directory {path.parent}, want one that is there")
        if request.online:
            found = self._own.settings()
            retry = float(found.get("server_login_retry", 0))
            if retry > _LONGEST_LOGIN_RETRY_S:
                wrong.append(
                    f"pgbouncer.ini: server_login_retry is {retry:g}, want at most 2: for so long clients wait after each failover"
                )
            if path is not None and not (self._own.databases() or path.exists()):
                wrong.append(f"pgbouncer.ini: knows none of our databases, want '%include {path}' in it")
        return wrong

    @hookimpl
    def hacore_route(self, request: Route) -> Applied | Degraded:
        """Write where the databases lead, and let go or hold back what shall wait."""
        state = request.state
        if (state.token, state.revision) < self._told or self._way.is_outdated(state):
            return Applied(detail="a newer state stands there")
        self._told = (state.token, state.revision)
        self._way.lead(state)
        wrong = self._way.not_taken(state)
        if wrong:
            return Degraded(reason=wrong)
        if self._shall_wait(state, request.context.clock):
            self._writing.hold()
            return Applied(detail="new work waits")
        resumed = self._writing.resume()
        if resumed:
            logger.info("clients go on", extra={"console": self._own.name, "databases": sorted(resumed)})
        if state.leads:
            self._let_go_forgotten(request.context.clock)
        return Applied()

    @hookimpl
    def hacore_drain(self, request: Drain, job: Job) -> Held | Degraded:
        """Pause every PgBouncer, and wait until no transaction is under way."""
        late, missed = [], []
        for bouncer in (self._drainer(self._settings.console), *map(self._drainer, self._settings.drain_consoles)):
            try:
                if not bouncer.pause(job.wait, lambda: request.context.clock.now() >= request.ends_at):
                    late.append(bouncer.name)
            except PluginUnavailableError as error:
                missed.append(str(error))
            finally:
                bouncer.close()
        if missed:
            return Degraded(reason="; ".join(missed))
        if late:
            return Degraded(reason=f"transactions are still under way at {', '.join(late)}; new ones wait")
        return Held()

    @hookimpl
    def hacore_route_probe(self, request: Probe) -> Observed:  # noqa: ARG002 - there is one PgBouncer
        """Tell where the first of the databases leads."""
        row = self._own.databases().get(self._settings.databases[0].name)
        if row is None:
            return Observed(target=None, detail="PgBouncer does not know the database")
        paused = "paused" if self._writing.paused() else ""
        return Observed(target=f"{row['host']}:{row['port']}", detail=paused)

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        """Count those who wait and those who work."""
        samples = []
        for row in self._own.pools():
            labels = (("database", str(row["database"])), ("user", str(row["user"])))
            samples += [
                Metric(name=name, help=text, value=float(row[column]), labels=labels)
                for name, column, text in (
                    ("clients_waiting", "cl_waiting", "Clients that wait for a server."),
                    ("clients_active", "cl_active", "Clients that are served or idle."),
                    ("servers_active", "sv_active", "Sessions with the server that work for a client."),
                )
            ]
        return samples

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | bool]:
        """Say what the console says."""
        return {"console": self._own.name, "paused": bool(self._writing.paused())}

    @hookimpl
    def hacore_close(self) -> None:
        """End the sessions. A pause stays: whoever routes next decides about it."""
        for bouncer in (self._own, self._writing, *self._others):
            bouncer.close()

    # --- who waits -----------------------------------------------------------------------------------------------------

    def _shall_wait(self, state: RoutingState, clock: Clock) -> bool:
        if state.hold is not None and state.hold.ends_at > clock.now():
            return True
        return state.leader is None and state.hold is None and self._settings.waits_without_leader

    def _let_go_forgotten(self, clock: Clock) -> None:
        """Let go what another node's PgBouncer holds since long: its own agent would have done so."""
        for bouncer in self._others:
            try:
                is_paused = bool(bouncer.paused())
            except PluginUnavailableError as error:
                logger.debug("PgBouncer of another node does not answer", extra={"error": str(error)})
                continue
            if not is_paused:
                self._seen_paused_at.pop(bouncer.name, None)
            elif clock.now() - self._seen_paused_at.setdefault(bouncer.name, clock.now()) > _FORGOTTEN_S:
                logger.warning("PgBouncer of another node was left paused, clients go on", extra={"console": bouncer.name})
                bouncer.resume()

    def _drainer(self, conninfo: str) -> Bouncer:
        """Return a way to a console for the thread of a job."""
        return self._bouncer(conninfo, self._writing.names)

    def _bouncer(self, conninfo: str, names: Sequence[str]) -> Bouncer:
        return Bouncer(Console(conninfo, self._settings.password, self._settings.timeout_s), names)
