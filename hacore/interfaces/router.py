"""Where traffic shall go, and what a router says of itself (integrations reference 14.6)."""

from dataclasses import dataclass
from enum import StrEnum

from hacore.model.clock import Instant


class Layer(StrEnum):
    """How near to the client a router stands. A planned switchover drains in this order."""

    POOLER = "pooler"
    PROXY = "proxy"
    ADDRESS = "address"
    REGISTRY = "registry"  # DNS, service registries


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterTraits:
    """What a router is, whatever its settings."""

    layer: Layer
    drains: bool = False  # it can hold new work back


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One member as a target of connections."""

    member: str
    host: str
    port: int
    state: str = "running"  # as in the member record
    is_streaming: bool = False
    lag_bytes: int | None = None  # behind the leader; ``None``: not known
    tags: tuple[tuple[str, str | int | float | bool], ...] = ()

    def tag(self, name: str) -> str | int | float | bool | None:
        """Return one of the member's tags."""
        return next((value for key, value in self.tags if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A planned switchover holds new work back until the next leader takes writes, this ends, or its time is over."""

    switchover_id: str
    ends_at: Instant  # by this node's boot-time clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingState:
    """Where traffic shall go, as this node knows it. The whole of what is desired: nothing depends on having seen the one before.

    A state with a lower ``token``, or with the same and a lower ``revision``, is older and must not undo a newer one.
    """

    token: int  # fencing token of the newest acquisition of the lease that is known; 0: none was ever
    revision: int  # grows with each state of this agent
    me: Endpoint
    leader: Endpoint | None = None  # that takes writes; ``None``: nobody does, or it is not known yet
    leads: bool = False  # this node is ``leader`` and holds the lease; in maintenance it may lead on without
    standbys: tuple[Endpoint, ...] = ()  # that answer queries and may be read from
    members: tuple[Endpoint, ...] = ()  # every member that is known, whatever its state
    hold: Hold | None = None
    # this node holds the lease, whether it takes writes now or not, and does not give it up: the fence ends them then unless renewed
    valid_until: Instant | None = None
    is_paused: bool = False  # maintenance mode: nobody fails over


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The outside is as it shall be."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """The outside is not as it shall be. It is tried again at the next state, else after 1, 2, 4, and every 5 s."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """New work waits, and none is under way but what the settings leave to the server's stop."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the outside shows now, for people and metrics."""

    target: str | None  # where writes go: a member's name where it can be told, else ``host:port``
    detail: str = ""
