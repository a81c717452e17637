"""The hooks of the PgBouncer router."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, PluginContext, Probe, Route, RouterPlugin, Validate, hookimpl
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
from hacore.model.clock import Clock
from hacore_router_pgbouncer.bouncer import Bouncer, paused_of
from hacore_router_pgbouncer.console import Console
from hacore_router_pgbouncer.pauses import Pauses
from hacore_router_pgbouncer.settings import PgbouncerSettings
from hacore_router_pgbouncer.watch import Watch
from hacore_router_pgbouncer.way import Way

_LONGEST_LOGIN_RETRY_S: Final = 2.0
_TURN_S: Final = 1.0  # beside loop_wait, until a node has read what stands in the store
_PROMPT_S: Final = 0.8  # of the 1 s that a look may take


class PgbouncerPlugin(RouterPlugin):
    """Leads the databases of PgBouncer to the primary; a planned switchover pauses them meanwhile, so that clients only wait."""

    def __init__(self, settings: PgbouncerSettings) -> None:
        self._settings = settings
        names = [one.name for one in (*settings.databases, *settings.standby_databases)]
        self._own = self._bouncer(settings.console, names)
        self._writing = self._bouncer(settings.console, [one.name for one in settings.databases])  # the same, what leads to the primary
        self._looking = self._bouncer(settings.console, names, timeout_s=min(settings.timeout_s, _PROMPT_S))
        self._others = tuple(self._bouncer(one, self._writing.names) for one in settings.drain_consoles)
        self._pauses = Pauses(self._writing, self._others)
        self._way = Way(settings, self._own, self._others)
        self._turn = threading.RLock()
        self._watch = Watch(self._bouncer(settings.console, self._writing.names), self._turn, self._pauses.expect)
        self._told: tuple[int, int] = (0, 0)  # token and revision of the newest state

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
        path, obstacle = self._settings.databases_file, self._way.obstacle()
        wrong = [f"databases_file: {obstacle}, want a directory of the agent's user"] if obstacle else []
        if request.online:
            found = self._own.settings()
            retry = float(found.get("server_login_retry", 0))
            if retry > _LONGEST_LOGIN_RETRY_S:
                wrong.append(
                    f"pgbouncer.ini: server_login_retry is {retry:g}, want at most 2: for so long clients wait after each failover"
                )
            if path is not None and not (self._own.databases() or os.access(path, os.F_OK)):
                wrong.append(f"pgbouncer.ini: knows none of our databases, want '%include {path}' in it")
        return wrong

    @hookimpl
    def hacore_route(self, request: Route) -> Applied | Degraded:
        """Write where the databases lead, and let go or hold back what shall wait."""
        with self._turn:
            return self._route(request.state, request.context)

    def _route(self, state: RoutingState, context: PluginContext) -> Applied | Degraded:
        clock = context.clock
        if (state.token, state.revision) < self._told:
            return Applied(detail="a newer state stands there")
        newer = self._way.newer(state, clock.now())
        if newer:
            return Degraded(reason=f"{newer}; remove the file if it is of a cluster that is no more")
        is_next, self._told = state.token > self._told[0], (state.token, state.revision)
        wrong = self._way.lead(state)
        shall_wait = self._shall_wait(state, clock)
        self._watch_over(state, context, is_off=shall_wait)
        waits = shall_wait or self._watch.waits
        if waits:
            self._pauses.hold()
        elif not state.is_paused or self._pauses.may_be_ours:  # in maintenance a person's PAUSE is a person's to end
            is_first_to_know = self._pauses.may_be_ours or state.leads or is_next
            wrong = self._let_go(clock, wrong, 0.0 if is_first_to_know else context.times.loop_wait_s + _TURN_S)
        if state.leads and not waits:
            self._pauses.let_go_forgotten(clock, ours_alone=state.is_paused)
        return Degraded(reason=wrong) if wrong else Applied()

    @hookimpl
    def hacore_drain(self, request: Drain, job: Job) -> Held | Degraded:
        """Pause every PgBouncer, and wait until no transaction is under way."""
        obstacle = self._way.obstacle()
        if obstacle:
            return Degraded(reason=f"nothing waits, for it could not be led on: {obstacle}")
        late, missed = [], []
        self._pauses.expect(*(one.name for one in self._others))
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
    def hacore_route_probe(self, request: Probe) -> Observed | None:  # noqa: ARG002 - there is one PgBouncer
        """Tell where the first of the databases leads; who is behind an address that follows by itself it cannot see."""
        if self._settings.databases_file is None:
            return None
        found = self._looking.databases()
        row = found.get(self._settings.databases[0].name)
        if row is None:
            return Observed(target=None, detail="PgBouncer does not know the database")
        place = f"{row['host']}:{row['port']}"
        return Observed(target=None, detail=f"{place}, paused") if paused_of({"": row}) else Observed(target=place)

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        """Count those who wait and those who work."""
        samples = []
        for row in self._looking.pools():
            labels = (("database", str(row["database"])), ("user", str(row["user"])))
            samples += [
                Metric(name=name, help=text, value=float(row[column]), labels=labels)
                for name, column, text in (
                    ("pgbouncer_clients_waiting", "cl_waiting", "Clients that wait for a server."),
                    ("pgbouncer_clients_active", "cl_active", "Clients that are served or idle."),
                    ("pgbouncer_servers_active", "sv_active", "Sessions with the server that work for a client."),
                )
            ]
        return samples

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | bool]:
        """Say what the console says."""
        found = self._looking.databases()
        places = sorted({f"{row['host']}:{row['port']}" for name, row in found.items() if name in self._writing.names})
        return {"console": self._looking.name, "leads to": ", ".join(places), "paused": bool(paused_of(found))}

    @hookimpl
    def hacore_close(self) -> None:
        """End the sessions. A pause stays: whoever routes next decides about it."""
        self._watch.close()
        for bouncer in (self._own, self._writing, self._looking, *self._others):
            bouncer.close()

    def _let_go(self, clock: Clock, wrong: str, patience_s: float) -> str:
        """Let clients go on; return what is wrong.

        :param patience_s: how long this node may not have read of a switchover that the leader has begun.
        """
        if wrong:
            self._pauses.let_go_late(clock)
        elif patience_s:
            return self._pauses.let_go_foreign(clock, patience_s)
        else:
            self._pauses.let_go()
        return wrong

    def _shall_wait(self, state: RoutingState, clock: Clock) -> bool:
        if state.hold is not None and state.hold.ends_at > clock.now():
            return True
        return state.leader is None and state.hold is None and self._settings.waits_without_leader

    def _watch_over(self, state: RoutingState, context: PluginContext, *, is_off: bool) -> None:
        """Have the watch look after the leader, until a lease that it does not renew has ended in any case."""
        leader, times = state.leader, context.times
        is_off = is_off or leader is None or not self._settings.waits_without_leader
        place = None if is_off or leader is None else (state.token, leader.host, leader.port)
        self._watch.watch(place, times.ttl_s + times.loop_wait_s)

    def _drainer(self, conninfo: str) -> Bouncer:
        """Return a way to a console for the thread of a job."""
        return self._bouncer(conninfo, self._writing.names)

    def _bouncer(self, conninfo: str, names: Sequence[str], *, timeout_s: float | None = None) -> Bouncer:
        return Bouncer(Console(conninfo, self._settings.password, timeout_s or self._settings.timeout_s), names)
