"""What a decision asks to be done. Each step is a frozen value, can be repeated safely and has a deadline when it is carried out."""

from dataclasses import dataclass
from enum import StrEnum

from hacore.model.cluster import HistoryLine, OwnRecord
from hacore.model.jobs import JobKind
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.node import Role, Upstream
from hacore.model.recovery import RecoveryTarget


class StopMode(StrEnum):
    """PostgreSQL documentation 18.5: ``fast`` is SIGINT, ``immediate`` is SIGQUIT."""

    FAST = "fast"
    IMMEDIATE = "immediate"


# --- steps on the store: done within the turn -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRecord:
    """Write one of the field's records by comparison; ``under_lock`` only while this node's lock instance is held."""

    name: str  # ``initialize``, ``config``, ``failover``, ``history``
    value: str | None  # ``None``: delete
    expected: int | None = None  # revision to compare; 0: absent; ``None``: no comparison
    under_lock: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireLease:
    """Take the lock under the comparisons of safety.md 5, write ``own`` in the same transaction, arm the guard."""

    own: OwnRecord
    own_version: int  # revision of the own record that must still stand; 0: must be absent
    replaces: Lock | None = None  # a held lock that this acquisition replaces
    puts: tuple[PutRecord, ...] = ()  # further records of the same transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLease:
    """Give the lock back. Only with ``clean`` may the next one follow at once: writes here have provably ended."""

    clean: bool
    optime: Lsn | None = None  # position of the shutdown checkpoint
    lock: Lock | None = None  # where the lock is in this node's name although it holds no lease (it was fenced)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeLease:
    """Renew a lock instance that this node held before its agent was started again."""

    lock: Lock
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOwn:
    """Write the own record under the lock that is held (timeline claim, unfenced mark)."""

    own: OwnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteHistory:
    """Bring ``/history`` up to this server's timeline history."""

    lines: tuple[HistoryLine, ...]


# --- steps on PostgreSQL that take long: one job at a time ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Create the cluster: initdb or the configured method, first start as primary, roles, post_bootstrap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplica:
    """Fill the data directory by the configured chain of methods; wipes what is there first, once leader and source have answered."""

    leader: str | None  # holder of the lease; ``None``: only methods that need no leader
    source: str | None  # member to copy from
    system_id: str | None
    is_remembered: bool = False  # this node had data of that system identifier: a directory that has lost its control file is its own
    command: str | None = None  # id of the command that asked for it: a person gives up what the archive has no room for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """Take back local WAL that the leader does not have."""

    leader: str
    wipe_on_failure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverFromCrash:
    """Bring a crashed former primary to a clean end of WAL without letting anybody in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartServer:
    """Start PostgreSQL. As primary only under a lease."""

    role: Role
    upstream: Upstream | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopServer:
    """Stop PostgreSQL; a fast stop that does not end in its budget becomes immediate, then SIGKILL (safety.md 4)."""

    mode: StopMode
    reason: str
    checkpoint_first: bool = False
    timeout_s: float | None = None  # budget of the fast part
    switchover_to: str | None = None  # part of a switchover, to this member or (``""``) to anybody: gates may veto it


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartServer:
    """Stop fast and start again in the same role."""

    role: Role
    upstream: Upstream | None = None
    timeout_s: float | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Leave recovery under the lease that is held, on exactly this timeline."""

    timeline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreFromBackup:
    """Replace the data by those of a backup, recover up to a target and become primary on a new timeline."""

    id: str  # of the restore
    backup: str
    target: RecoveryTarget
    along: int  # the timeline to follow
    timeline: int  # claimed: the first that may be begun
    system_id: str | None
    keep: bool  # the old directory aside, and put it back where it fails
    command: str  # names the attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRestore:
    """Put back what an attempt that nobody works on any more has moved aside."""

    id: str  # of the restore
    command: str  # names the end of it


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCheckpoint:
    """Run CHECKPOINT: before a planned stop, and first on a new timeline, so that others may rewind from here."""

    switchover_to: str | None = None  # the first work of a switchover, to this member or (``""``) to anybody: gates may veto it


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTraffic:
    """Let routers hold new work back and what is under way end, before a planned stop."""

    switchover_id: str
    candidate: str | None
    timeout_s: float


# --- steps on this node that are quick --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Point a running standby at ``upstream`` (reload, or restart where the version needs one)."""

    upstream: Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadServer:
    """Write the settings in force and reload PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSlots:
    """Create missing physical slots, drop such of ``droppable`` that nobody uses, move inactive ones forward."""

    wanted: tuple[str, ...] = ()
    droppable: tuple[str, ...] = ()
    advance: tuple[tuple[str, Lsn], ...] = ()  # so that slots of members that stream elsewhere hold no WAL for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class EndServer:
    """End every server process of the data directory now (SIGQUIT, then SIGKILL through the guard)."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Arm the guard again under the lease that is held (end of pause, a new guard)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disarm:
    """Take the guard's deadline away: only where writes are impossible or pause is recorded."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAdopted:
    """A foreign primary runs here without a lease: give it F once (safety.md 4, pause)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """Cancel the work in flight."""

    kind: JobKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCommand:
    """Tell the person who asked; the command leaves the world."""

    id: str
    done: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Read the local configuration again (SIGHUP or ``POST /reload``)."""

    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberDemotion:
    """Note that a planned hand-over has begun (``candidate`` ``""``: anybody), or with ``None`` that it has ended."""

    candidate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """End the agent with this exit code (``hacore.daemon.exit_codes``)."""

    code: int
    reason: str
    leave_server: bool = False  # PostgreSQL runs on under the guard


JobStep = (
    Bootstrap
    | CreateReplica
    | Rewind
    | RecoverFromCrash
    | RestoreFromBackup
    | UndoRestore
    | StartServer
    | StopServer
    | RestartServer
    | Promote
    | TakeCheckpoint
    | DrainTraffic
)
StoreStep = AcquireLease | ResumeLease | ReleaseLease | WriteOwn | PutRecord | WriteHistory
ServerStep = Follow | ReloadServer | ReconcileSlots | EndServer | Arm | Disarm | ArmAdopted
AgentStep = CancelJob | AnswerCommand | Reload | RememberDemotion | Exit
Step = StoreStep | JobStep | ServerStep | AgentStep
