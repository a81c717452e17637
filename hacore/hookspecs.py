"""What a plugin may implement: one typed protocol class for each kind, and the frozen requests that its hooks receive.

A plugin is a class, found by an entry point in the group of its kind (``hacore.dcs``, ``hacore.replica``, ``hacore.listener``,
``hacore.command``) and built as ``Plugin(settings)``: what its own schema made of its section, see
:meth:`AnyPlugin.hacore_config_schema`. It implements the hooks that it needs, each marked with :data:`hookimpl`; everything else is
optional. One class may stand in several groups: then it is one instance, and implements hooks of all of them.

Every hook is called under a deadline and in isolation. Unless a hook says otherwise, for every hook:

- what it returns too late counts as not returned; the plugin is not called again before that call has come back;
- :class:`~hacore.errors.PluginUnavailableError` means "could not find out": logged, counted, tried again at the next occasion;
- any other exception, and an answer of another type, is a fault of the plugin: logged with its name, counted, then treated the same.

This module knows no plugin, and not how they are found and called.
"""
# ruff: noqa: ARG002, RET501
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional: without a body it is abstract,
# and a plugin that has not implemented it cannot be built.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from pluggy import HookimplMarker, HookspecMarker

from hacore.interfaces import Created, Dcs, DcsCapabilities, Failed, GatePolicy, Job, Metric, Offer, Refusal, SectionChecker, Source, Veto
from hacore.model.clock import Clock
from hacore.model.cluster import Member
from hacore.model.events import Event
from hacore.model.lsn import Lsn
from hacore.model.policy import Policy, Times
from hacore.model.timeline import TimelineHistory

if TYPE_CHECKING:
    import click  # only the command line loads it

PROJECT: Final = "hacore"

hookspec: Final = HookspecMarker(PROJECT)
hookimpl: Final = HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext:
    """Where a plugin is and what is in force: part of every request, made anew for each call."""

    scope: str
    namespace: str  # as configured: ``/service``
    member: str  # this node's name, the same after a restart
    clock: Clock  # the only clock a plugin may read
    policy: Policy = field(default_factory=Policy)

    @property
    def times(self) -> Times:
        """Return ttl, loop_wait and retry_timeout as configured for the whole cluster."""
        return self.policy.times


# --- every kind -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """Check what the schema cannot: files, programs and, only with ``online``, what the plugin drives."""

    context: PluginContext
    online: bool = False


class AnyPlugin(Protocol):
    """What a plugin of any kind may have."""

    @staticmethod
    @hookspec(firstresult=True)
    def hacore_config_schema() -> type[SectionChecker] | None:
        """Return the class of the schema of this plugin's section: a :class:`hacore.schema.SectionSchema`.

        Called on the class (make it a static method) before an instance exists, with every reading of the configuration; quick, no
        input or output. What the schema's ``load`` returns, usually a frozen dataclass made by ``post_load``, is the only argument
        of the class; it must be picklable, because the configuration is read in a process of its own.

        :returns: the class; ``None``, or no such method: the plugin takes no settings and is built with an empty mapping.
        """
        return None

    @hookspec
    def hacore_validate(self, request: Validate) -> Sequence[str] | None:
        """Return what is wrong with the settings, one sentence each: where, what was found, what is wanted.

        Called by ``hacore validate`` only, in its process. May block for 10 s.

        :raises PluginUnavailableError: with ``online``: what the plugin drives does not answer; shown as a fault.
        """
        return None

    @hookspec
    def hacore_metrics(self) -> Sequence[Metric] | None:
        """Return this plugin's samples for ``/metrics``.

        Called on the plugin's own thread, at most once in each turn of the loop; may block for 1 s. The newest answer is served until
        the next; the core adds the labels ``scope``, ``name`` and ``plugin``.
        """
        return None

    @hookspec
    def hacore_status(self) -> Mapping[str, str | int | float | bool | None] | None:
        """Return what this plugin has to say of itself, for people: ``hacore plugins show`` and REST. Called as ``hacore_metrics``."""
        return None

    @hookspec
    def hacore_close(self) -> None:
        """Give back threads, processes and connections.

        Called once, when the agent ends or another instance with new settings takes this one's place; no hook is called afterwards.
        May block for 10 s. Raising changes nothing.
        """
        return None


# --- dcs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDcs:
    """Open a session for ``context.member`` in the cluster ``context.scope``.

    ``observer``: a session of the command line. It never takes the lock and publishes no member; it only reads and writes records, so
    it should leave nothing behind in the store (no lease, no session).
    """

    context: PluginContext
    observer: bool = False
    state_dir: str | None = None  # directory for what shall outlive this agent, its own user's alone; ``None``: nothing shall

    @property
    def scope(self) -> str:
        """Return the name of the cluster."""
        return self.context.scope

    @property
    def namespace(self) -> str:
        """Return the prefix of all clusters, as configured."""
        return self.context.namespace

    @property
    def member(self) -> str:
        """Return the name of the member record and the holder of locks."""
        return self.context.member

    @property
    def clock(self) -> Clock:
        """Return the only clock that the session may read."""
        return self.context.clock

    @property
    def ttl_s(self) -> float:
        """Return the ttl in force when the session opens; each call that needs one brings its own."""
        return self.context.times.ttl_s

    @property
    def loop_wait_s(self) -> float:
        """Return the period of the loop when the session opens."""
        return self.context.times.loop_wait_s

    @property
    def retry_timeout_s(self) -> float:
        """Return the budget of one operation when the session opens."""
        return self.context.times.retry_timeout_s


class DcsPlugin(AnyPlugin, Protocol):
    """Kind ``dcs``: exactly one per node, named by its section in the configuration."""

    @staticmethod
    @hookspec(firstresult=True)
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do, whatever its settings.

        Called on the class (make it a static method) by ``hacore plugins show`` and the conformance kit; quick, no input or output.
        """

    @hookspec(firstresult=True)
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs | None:
        """Open the session through which this node holds the lease and publishes its state.

        Called at start and again after ``close()``, never twice at once; on the thread that will make every later call of the session,
        too. May block for 10 s. Every later call is cut off a little after its own ``timeout_s``.

        :param request: scope, namespace, member name (the same after a restart), the settings in force, and the only clock the session
            may read (boot-time seconds). One frozen object, so that fields can be added.
        :returns: an open session that holds no lease yet.
        :raises DcsUnavailableError: no server answered; the core tries again with backoff.
        :raises ConfigError: a server answered, the settings are wrong; the core exits with 2.
        """


# --- replica ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRequest:
    """Make a data directory of this cluster in ``data_dir``."""

    context: PluginContext
    method: str  # its name in ``create_replica_methods``; for a script not the plugin's
    data_dir: str
    source: Source | None  # server to copy from; ``None``: there is none, or the method needs none
    options: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)  # the method's section: name and value, in its order
    command: str | None = None  # the method is a script: this is its command line
    no_params: bool = False  # the script is called with its own options alone
    keeps_data: bool = False  # what lies in ``data_dir`` is left to the method (``keep_data: true``)
    system_id: str | None = None
    major_version: int | None = None
    leader_lsn: Lsn | None = None
    leader_history: TimelineHistory | None = None  # the leader's timeline and those that it descends from
    directory_state: str = "empty"  # ``empty``, or with ``keeps_data`` what is there: ``initialized``, ``unfinished``, ``broken``
    space_bytes: int | None = None  # free where ``data_dir`` is
    programs: Mapping[str, str] = field(default_factory=dict)  # path of each server program by its usual name
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # for child processes: nothing else is passed on

    def program(self, name: str) -> str:
        """Return the path of a program of PostgreSQL: ``pg_basebackup``."""
        return self.programs.get(name, name)


class ReplicaPlugin(AnyPlugin, Protocol):
    """Kind ``replica``: a chain, in the order of ``create_replica_methods``."""

    @hookspec(firstresult=True)
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal | None:
        """Tell what this method would start from, without any effect.

        Called in the thread of the job before ``hacore_create_replica``; may block for 10 s. The core skips an offer that is of another
        system identifier, of a timeline that is not in the leader's history, or that needs far more WAL than data.

        :returns: an offer; a refusal: the next method is tried; ``None``, or no such hook: the method always tries.
        :raises PluginUnavailableError: what it drives does not answer: the next method is tried.
        """
        return None

    @hookspec(firstresult=True)
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed | None:
        """Fill ``data_dir`` with a data directory of this cluster.

        Called in the thread of the job, without a limit; the core has emptied the directory before (unless ``keeps_data``), and afterwards
        writes all recovery settings itself. Run programs with ``job.run``, so that cancelling ends them, and report with ``job.progress``.

        :param offer: what ``hacore_replica_offer`` returned.
        :returns: how it ended. After ``Failed`` the core cleans the directory, unless it is ``untouched``, and tries the next method.
        :raises JobCancelledError: let it pass when ``job`` raises it.
        :raises PluginUnavailableError: as ``Failed`` with a directory that must be cleaned.
        """


# --- listener ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeStop:
    """PostgreSQL is about to be told to stop."""

    context: PluginContext
    reason: str
    mode: str  # ``fast`` or ``immediate``
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
        Each gate gets a job of its own besides its request: programs that it runs by ``job.run`` are ended when its time is over or the
        action is cancelled.
        """
        return None

    @hookspec
    def hacore_before_stop(self, request: BeforeStop, job: Job) -> Veto | None:
        """Do what must be done while PostgreSQL still runs. A veto changes nothing: what stops must stop.

        Called in the thread of the job. Skipped where the lease is about to end: the fence waits for nobody.
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


# --- command ----------------------------------------------------------------------------------------------------------


class CommandPlugin(AnyPlugin, Protocol):
    """Kind ``command``: many, chosen by being installed."""

    @hookspec
    def hacore_commands(self) -> Sequence["click.Command"] | None:
        """Return commands to stand beside the built-in ones of ``hacore``.

        Called in the process of the command line, before it knows which command is wanted: return quickly, import late. A name that is
        taken already is refused and said. A class in this group alone is built with an empty mapping where its section is missing.
        """


KINDS: Final[Mapping[str, type]] = {"dcs": DcsPlugin, "replica": ReplicaPlugin, "listener": ListenerPlugin, "command": CommandPlugin}
