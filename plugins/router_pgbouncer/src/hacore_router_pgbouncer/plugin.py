"""The hooks of the PgBouncer router."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import chain
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, Probe, Route, RouterPlugin, Validate, hookimpl
from hacore.http.together import Unanswered
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
from hacore_router_pgbouncer.bouncer import paused_of
from hacore_router_pgbouncer.console import Row
from hacore_router_pgbouncer.databases_file import DatabasesFile
from hacore_router_pgbouncer.pooler import Neighbour, News, Pooler, bouncer_at
from hacore_router_pgbouncer.poolers import Poolers
from hacore_router_pgbouncer.settings import PgbouncerSettings

_COUNTED: Final[Mapping[str, tuple[str, str]]] = {
    "cl_waiting": ("pgbouncer_clients_waiting", "Clients that wait for a server."),
    "cl_active": ("pgbouncer_clients_active", "Clients that are served or idle."),
    "sv_active": ("pgbouncer_servers_active", "Sessions with the server that work for a client."),
}


class PgbouncerPlugin(RouterPlugin):
    """Leads the databases of PgBouncer to the primary; a planned switchover pauses them meanwhile, so that clients only wait."""

    def __init__(self, settings: PgbouncerSettings) -> None:
        self._settings = settings
        self._file = DatabasesFile(settings)
        self._poolers = Poolers((Pooler(one, settings, self._file) for one in settings.consoles), "pgbouncer")
        self._neighbours = tuple(Neighbour(one, settings, self._file) for one in settings.drain_consoles)
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
        obstacle = self._file.obstacle()
        wrong = [f"databases_file: {obstacle}, want a directory of the agent's user"] if obstacle else []
        if request.online:
            for found in self._poolers.every(lambda one: tuple(one.faults())):
                wrong += [found.reason] if isinstance(found, Unanswered) else found
        return list(dict.fromkeys(wrong))

    @hookimpl
    def hacore_route(self, request: Route) -> Applied | Degraded:
        """Write where the databases lead, and let go or hold back what shall wait."""
        state, clock = request.state, request.context.clock
        if (state.token, state.revision) < self._told:
            return Applied(detail="a newer state stands there")
        newer = self._file.newer(state, clock.now())
        if newer:
            return Degraded(reason=f"{newer}; remove the file if it is of a cluster that is no more")
        is_next, self._told = state.token > self._told[0], (state.token, state.revision)
        news = News(state=state, context=request.context, shall_wait=self._shall_wait(state, clock), is_next=is_next)
        self._file.keep(state)
        answers = self._poolers.every(lambda one: one.route(news))
        waits = news.shall_wait or any(one.waits for one in self._poolers)
        for one in self._neighbours:
            one.route(news, waits=waits)
        problems = dict.fromkeys(answer.reason if isinstance(answer, Unanswered) else answer for answer in answers)
        problems.pop("", None)
        return Degraded(reason="; ".join(problems)) if problems else Applied()

    @hookimpl
    def hacore_drain(self, request: Drain, job: Job) -> Held | Degraded:
        """Pause every PgBouncer, and wait until no transaction is under way."""
        obstacle = self._file.obstacle()
        if obstacle:
            return Degraded(reason=f"nothing waits, for it could not be led on: {obstacle}")
        late, missed = [], []
        for one in (*self._poolers, *self._neighbours):
            one.pauses.expect()
        with ExitStack() as stack:
            bouncers = [bouncer_at(one, self._settings) for one in (*self._settings.consoles, *self._settings.drain_consoles)]
            for bouncer in bouncers:  # ways of its own: the thread of a job may be abandoned in one
                stack.callback(bouncer.close)
                with suppress(PluginUnavailableError):
                    bouncer.hold()  # before any is waited for: the others would take new work meanwhile
            for bouncer in bouncers:
                try:
                    if not bouncer.pause(job.wait, lambda: request.context.clock.now() >= request.ends_at):
                        late.append(bouncer.name)
                except PluginUnavailableError as error:
                    missed.append(str(error))
        if missed:
            return Degraded(reason="; ".join(missed))
        if late:
            return Degraded(reason=f"transactions are still under way at {', '.join(late)}; new ones wait")
        return Held()

    @hookimpl
    def hacore_route_probe(self, request: Probe) -> Observed | None:  # noqa: ARG002 - it looks everywhere
        """Tell where the first of the databases leads; who is behind an address that follows by itself it cannot see."""
        if self._settings.databases_file is None:
            return None
        seen = dict.fromkeys(self._poolers.shown(lambda one: self._seen(one.looking.databases())))
        targets = {one.target for one in seen}
        (target,) = targets if len(targets) == 1 else (None,)
        return Observed(target=target, detail="; ".join(one.detail or str(one.target) for one in seen if len(seen) > 1 or one.detail))

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        """Count those who wait and those who work."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for row in chain.from_iterable(self._poolers.shown(lambda one: one.looking.pools())):
            for column in _COUNTED:
                counts[str(row["database"]), str(row["user"]), column] += int(row[column])
        samples = []
        for (database, user, column), count in counts.items():
            name, text = _COUNTED[column]
            samples.append(Metric(name=name, help=text, value=float(count), labels=(("database", database), ("user", user))))
        return samples

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | bool]:
        """Say what the consoles say."""
        found = self._poolers.shown(lambda one: one.looking.databases())
        writing = {one.name for one in self._settings.databases}
        places = sorted({f"{row['host']}:{row['port']}" for shown in found for name, row in shown.items() if name in writing})
        names = ", ".join(one.name for one in self._poolers)
        return {"console": names, "leads to": ", ".join(places), "paused": any(paused_of(shown) for shown in found)}

    @hookimpl
    def hacore_close(self) -> None:
        """End the sessions. A pause stays: whoever routes next decides about it."""
        self._poolers.close()
        for one in self._neighbours:
            one.close()

    def _seen(self, found: Mapping[str, Row]) -> Observed:
        row = found.get(self._settings.databases[0].name)
        if row is None:
            return Observed(target=None, detail="PgBouncer does not know the database")
        place = f"{row['host']}:{row['port']}"
        return Observed(target=None, detail=f"{place}, paused") if paused_of({"": row}) else Observed(target=place)

    def _shall_wait(self, state: RoutingState, clock: Clock) -> bool:
        if state.hold is not None and state.hold.ends_at > clock.now():
            return True
        return state.leader is None and state.hold is None and self._settings.waits_without_leader
