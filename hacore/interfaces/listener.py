"""How a listener holds up what is planned."""

from dataclasses import dataclass
from enum import StrEnum


class Gate(StrEnum):
    """A moment at which a listener may hold up what is planned; the name of the hook without ``hacore_``."""

    BEFORE_STOP = "before_stop"
    BEFORE_PROMOTE = "before_promote"
    BEFORE_DEMOTE = "before_demote"
    BEFORE_SWITCHOVER = "before_switchover"
    AFTER_BOOTSTRAP = "after_bootstrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """How long a gate may take, and whether the action is given up when it fails or does not answer."""

    gate: Gate
    limit_s: float | None = 5.0  # ``None``: ``primary_start_timeout``, a ttl at least; the lease is renewed meanwhile
    aborts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Veto:
    """The action must not be done."""

    reason: str
