"""Tells others of each turn: the REST process by shared memory, listeners by events, the journal; and asks the gates."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.agent.desk import Desk
from hacore.agent.settings import SettingsSource
from hacore.errors import PluginUnavailableError
from hacore.hookspecs import AfterBootstrap, BeforePromote, BeforeStop, PluginContext
from hacore.model.clock import Clock, Instant
from hacore.model.steps import Promote, StopMode, StopServer
from hacore.model.world import Decision, World
from hacore.plugins.listeners import Listeners
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

    def published(self, world: World, decision: Decision) -> None:
        """Show the newest picture."""
        if self._writer is not None:
            shown = picture(world, decision, figures=self._figures())
            self._writer.write(shown, written_at=world.now, lease_fence_at=world.lease.fence_at if world.lease else None)

    def lease_ends(self) -> None:
        """Say at once that this node does not lead any more."""
        if self._writer is not None:
            self._writer.renew(None)

    def lease_renewed(self, fence_at: Instant) -> None:
        """Move F - D."""
        if self._writer is not None:
            self._writer.renew(fence_at)


@dataclass(slots=True)
class Count:
    """What the loop has counted since the agent was started."""

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
        return Figures(turns=self.turns, turn_s=self.turn_s, dcs_errors=self.dcs_errors, fences=self.fences, rules=rules)


class Gates:
    """Asks listeners before what is planned. Runs in the worker's thread."""

    def __init__(self, *, desk: Desk, listeners: Listeners, settings: SettingsSource, context: Callable[[], PluginContext]) -> None:
        self._desk, self._listeners, self._settings, self._context = desk, listeners, settings, context

    def token(self) -> int | None:
        """Return the fencing token of the lease as of the newest turn."""
        latest = self._desk.latest()
        return latest[0].lease.token if latest and latest[0].lease else None

    def before_stop(self, step: StopServer) -> None:
        """Let listeners do what must be done while PostgreSQL runs; a forced stop waits for nobody."""
        latest = self._desk.latest()
        if step.mode is StopMode.FAST and latest is not None:
            role = role_word(latest[0])
            self._listeners.before_stop(BeforeStop(context=self._context(), reason=step.reason, mode=str(step.mode), role=role))

    def before_promote(self, step: Promote) -> None:
        """Let listeners veto.

        :raises PluginUnavailableError: one did.
        """
        veto = self._listeners.before_promote(BeforePromote(context=self._context(), token=self.token() or 0, timeline=step.timeline))
        if veto is not None:
            raise PluginUnavailableError(f"promotion refused: {veto.reason}")

    def after_bootstrap(self, conninfo: str, passfile: str) -> None:
        """Let listeners prepare the first primary.

        :raises PluginUnavailableError: one refused.
        """
        veto = self._listeners.after_bootstrap(AfterBootstrap(context=self._context(), conninfo=conninfo, passfile=passfile))
        if veto is not None:
            raise PluginUnavailableError(f"bootstrap refused: {veto.reason}")
