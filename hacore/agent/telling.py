"""Tells others of each turn: the REST process by shared memory, listeners by events, the journal; and asks the gates."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.agent.desk import Desk
from hacore.agent.reporter import Reporter
from hacore.errors import PluginUnavailableError
from hacore.hookspecs import AfterBootstrap, BeforeDemote, BeforePromote, BeforeStop, BeforeSwitchover, PluginContext
from hacore.interfaces import Veto
from hacore.model.clock import Clock, Instant
from hacore.model.steps import Promote, StopMode, StopServer
from hacore.model.world import Decision, World
from hacore.plugins.listeners import Listeners
from hacore.plugins.registry import Registry
from hacore.plugins.routers import Routers
from hacore.publish.picture import Figures, picture
from hacore.publish.snapshot import SnapshotWriter
from hacore.publish.words import role_word

SNAPSHOT_VARIABLE: Final = "HACORE_SNAPSHOT_FD"


class RestPicture:
    """Implements :class:`hacore.ports.Publisher` for the REST process; without shared memory (an agent that runs alone) it does nothing."""

    def __init__(self, environ: Mapping[str, str], clock: Clock, figures: Callable[[], Figures]) -> None:
        fd = environ.get(SNAPSHOT_VARIABLE)
        self._writer = SnapshotWriter(int(fd)) if fd is not None else None
        self._clock, self._figures = clock, figures
        self._is_creating = False  # the cluster that this node shall lead

    def published(self, world: World, decision: Decision) -> None:
        """Show the newest picture."""
        if self._writer is not None:
            self._is_creating = is_creating(world)
            shown = picture(world, decision, figures=self._figures())
            seen_at = world.now if world.cluster is None else world.cluster.sent_at  # no answer rests on a picture older than T (I13)
            is_shown = world.lease is not None and not self._is_creating
            self._writer.write(shown, written_at=seen_at, lease_fence_at=world.lease.fence_at if world.lease and is_shown else None)

    def lease_ends(self) -> None:
        """Say at once that this node does not lead any more."""
        if self._writer is not None:
            self._writer.renew(None)

    def lease_renewed(self, fence_at: Instant) -> None:
        """Move F - D."""
        if self._writer is not None and not self._is_creating:
            self._writer.renew(fence_at)


def is_creating(world: World) -> bool:
    """Tell whether the lease is held for the creation of the cluster: until that is done nobody leads.

    The field creates a cluster before its leader key, so that ``/primary`` is 503 meanwhile; here the lease comes first.
    """
    own = world.cluster.own if world.cluster is not None else None
    if world.lease is None or world.cluster is None:
        return False
    if own is None:
        return not world.node.is_primary  # one that leads already may have lost its record
    return own.bootstrapping


@dataclass(slots=True)
class Count:
    """What the loop has counted since the agent was started."""

    registry: Registry
    routers: Routers
    reporter: Reporter
    turns: int = 0
    turn_s: float | None = None
    dcs_errors: int = 0
    fences: int = 0
    was_fired: bool = False
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, world: World, decision: Decision) -> None:
        """Count one turn."""
        self.turns += 1
        self.rules[decision.table, decision.rule] += 1
        self.dcs_errors += world.cluster is None
        self.fences += world.node.fence.fired and not self.was_fired
        self.was_fired = world.node.fence.fired

    def figures(self) -> Figures:
        """Return what ``/metrics`` shows."""
        rules = tuple((table, rule, count) for (table, rule), count in sorted(self.rules.items()))
        return Figures(
            turns=self.turns,
            turn_s=self.turn_s,
            dcs_errors=self.dcs_errors,
            fences=self.fences,
            rules=rules,
            plugin_calls=self.registry.calls(),
            routers=tuple(
                (one.name, one.layer, one.problem, one.applied_at, one.target, one.is_on_target) for one in self.routers.status()
            ),
            plugin_samples=self.reporter.samples,
            plugin_words=self.reporter.words,
        )


class Gates:
    """Asks listeners before what is planned. Runs in the worker's thread."""

    def __init__(self, *, desk: Desk, listeners: Listeners, context: Callable[[], PluginContext], is_cancelled: Callable[[], bool]) -> None:
        self._desk, self._listeners, self._context, self._is_cancelled = desk, listeners, context, is_cancelled

    def token(self) -> int | None:
        """Return the fencing token of the lease as of the newest turn."""
        latest = self._desk.latest()
        return latest[0].lease.token if latest and latest[0].lease else None

    def before_stop(self, step: StopServer) -> None:
        """Let listeners do what must be done while PostgreSQL runs; a forced stop waits for nobody."""
        latest = self._desk.latest()
        if step.mode is not StopMode.FAST or latest is None:
            return
        if step.switchover_to is not None:
            demotion = BeforeDemote(context=self._context(), token=self.token() or 0, candidate=step.switchover_to or None)
            _refuse("switchover", self._listeners.before_demote(demotion, self._is_cancelled))
        stop = BeforeStop(context=self._context(), reason=step.reason, mode=str(step.mode), role=role_word(latest[0]))
        self._listeners.before_stop(stop, self._is_cancelled)

    def before_switchover(self, candidate: str) -> None:
        """Let listeners veto a switchover before anything is done.

        :raises PluginUnavailableError: one did.
        """
        latest = self._desk.latest()
        cluster = latest[0].cluster if latest else None
        request = BeforeSwitchover(
            context=self._context(),
            token=self.token() or 0,
            leader=self._context().member,
            candidate=candidate or None,
            members=cluster.members if cluster else (),
        )
        _refuse("switchover", self._listeners.before_switchover(request, self._is_cancelled))

    def before_promote(self, step: Promote) -> None:
        """Let listeners veto.

        :raises PluginUnavailableError: one did.
        """
        request = BeforePromote(context=self._context(), token=self.token() or 0, timeline=step.timeline)
        _refuse("promotion", self._listeners.before_promote(request, self._is_cancelled))

    def after_bootstrap(self, conninfo: str, passfile: str) -> None:
        """Let listeners prepare the first primary.

        :raises PluginUnavailableError: one refused.
        """
        request = AfterBootstrap(context=self._context(), conninfo=conninfo, passfile=passfile)
        _refuse("bootstrap", self._listeners.after_bootstrap(request, self._is_cancelled))


def _refuse(what: str, veto: Veto | None) -> None:
    if veto is not None:
        raise PluginUnavailableError(f"{what} refused: {veto.reason}")
