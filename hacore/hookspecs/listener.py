"""Kind ``listener``: is told what happens, and may hold up what is planned."""
# ruff: noqa: ARG002, RET501
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import GatePolicy, Job, Veto
from hacore.model.cluster import Member
from hacore.model.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeStop:
    """PostgreSQL is about to be told to stop."""

    context: PluginContext
    reason: str
    mode: str  # ``fast``: an immediate stop waits for nobody
    role: str  # as in :class:`~hacore.model.events.Event`


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforePromote:
    """This node holds the lease and is about to leave recovery."""

    context: PluginContext
    token: int  # fencing token: grows by one at each acquisition of the lease
    timeline: int  # on which it will be primary


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeDemote:
    """This node is about to stop being primary in order. Never asked where writes must end at once."""

    context: PluginContext
    token: int
    candidate: str | None  # member that shall lead next, where one is named


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeSwitchover:
    """A person asked for a switchover; nothing has been done yet."""

    context: PluginContext
    token: int
    leader: str
    candidate: str | None
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterBootstrap:
    """The first primary of a new cluster is up; nobody else has been let in yet."""

    context: PluginContext
    conninfo: str  # of a superuser, without a secret
    passfile: str | None


class ListenerPlugin(AnyPlugin, Protocol):
    """Kind ``listener``: many, named in ``listeners``. It is told what happens, and may hold up what is planned."""

    @hookspec
    def hacore_event(self, event: Event) -> None:
        """Take note of what has happened.

        Called on the plugin's own thread for events, one after the other, in the order in which they happened; may block for 60 s each.
        Up to 1000 events wait; then the oldest is dropped and counted. Of several waiting events of kind ``role_changed`` only the newest
        is delivered. Nothing may depend on having seen every event: an agent that was killed told nobody.
        """
        return None

    @hookspec
    def hacore_gate_policies(self) -> Sequence[GatePolicy] | None:
        """Tell how long this plugin's gates may take and what follows when they do not answer.

        Called once, when the plugin is built; quick. A gate that is not named has 5 s, and the action goes on when it does not answer.
        One whose limit is ``None`` has ``primary_start_timeout``, but a ttl at least.
        Each gate gets a job of its own besides its request: programs that it runs by ``job.run`` are ended when its time is over or the
        action is cancelled.
        """
        return None

    @hookspec
    def hacore_before_stop(self, request: BeforeStop, job: Job) -> Veto | None:
        """Do what must be done while PostgreSQL still runs. A veto changes nothing: what stops must stop.

        Called in the thread of the job, before each fast stop. An immediate one, also where the lease is about to end, waits for nobody.
        """
        return None

    @hookspec
    def hacore_before_promote(self, request: BeforePromote, job: Job) -> Veto | None:
        """Allow or veto the promotion of this node.

        Called in the thread of the job, listeners in their configured order; the lease is renewed meanwhile. The first veto counts: the
        lease is released, and this node does not stand for election for a ttl.
        """
        return None

    @hookspec
    def hacore_before_demote(self, request: BeforeDemote, job: Job) -> Veto | None:
        """Prepare for, or veto, a planned demotion. A veto ends the switchover; an orderly end of the agent goes on."""
        return None

    @hookspec
    def hacore_before_switchover(self, request: BeforeSwitchover, job: Job) -> Veto | None:
        """Allow or veto a planned switchover before anything is done; the person who asked is told the reason."""
        return None

    @hookspec
    def hacore_after_bootstrap(self, request: AfterBootstrap, job: Job) -> Veto | None:
        """Prepare the first primary of a new cluster. A veto is a failure of the bootstrap."""
        return None
