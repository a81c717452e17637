"""What the guard's client takes and gives back."""

import enum
from dataclasses import dataclass


class DisarmReason(enum.StrEnum):
    """Why no deadline is needed: what makes it true that this server acknowledges no write, or may."""

    STOPPED = "stopped"  # the guard looks itself
    RECOVERY = "recovery"  # the agent has seen pg_is_in_recovery() since it last promoted
    PAUSED = "paused"  # automatic fencing is off, and `unfenced: NAME` stands in the store


class FenceKind(enum.StrEnum):
    """How far the running server is guarded."""

    FULL = "full"  # deadline, kernel timer, parent-death signal
    PARTIAL = "partial"  # the deadline alone: a server that somebody else started, or a kernel without such timers
    NONE = "none"  # no server runs


@dataclass(frozen=True, slots=True, kw_only=True)
class StartServer:
    """A postmaster to start. ``argv[0]`` is a path; ``env`` is its whole environment."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log_path: str | None  # standard output and error are appended there; None throws them away
    token: int | None  # that of the lease under which it starts as a primary; it must be armed
    standby: bool  # it starts in recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRefused:
    """Nothing was started, for a reason that a look at the state explains."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """The last fence. ``remaining`` processes had SIGKILL pending, but hung in the kernel when it ended."""

    token: int
    at_ns: int  # boot time
    took_s: float
    killed: int
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """What the guard knows."""

    guard_pid: int
    generation: int  # of the agent that attached last
    server_pid: int | None
    server_exit: int | None  # of the server that ran last; negative is a signal; None: still runs, never ran, or not our child
    is_ending: bool  # killed processes of the server have not gone yet
    armed: bool
    token: int | None
    deadline_ns: int  # F - D; 0 while disarmed
    fired: Fired | None  # until a larger token is armed
    fence: FenceKind
