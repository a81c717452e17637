"""Kind ``router``: leads traffic to the right node."""
# ruff: noqa: ARG002
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from dataclasses import dataclass
from typing import Protocol

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import Applied, Degraded, Held, Job, Observed, RouterTraits, RoutingState
from hacore.model.clock import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Make the outside match ``state``."""

    context: PluginContext
    state: RoutingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Hold new work back and let what is under way end, before this node's server is stopped as planned."""

    context: PluginContext
    switchover_id: str
    token: int  # of the leader that hands over
    candidate: str | None
    ends_at: Instant  # by ``context.clock``: what is not held by then is let go again, or cut, as the settings say
    state: RoutingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """This node does not lead any more: take back at once what leads to it."""

    context: PluginContext
    token: int  # under which it led


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Look at what the outside shows."""

    context: PluginContext


class RouterPlugin(AnyPlugin, Protocol):
    """Kind ``router``: many, ``routers: [NAME, ...]``. It is told who leads and has no opinion of its own.

    Every node tells its routers the whole desired state: when it changes (every 5 s where only the lag of standbys does), with each
    renewal of the lease (``valid_until``), every 30 s, and when the agent was started and has read the store. The plugin compares with
    reality and corrects; nothing depends on having seen every state. Where all nodes drive the same outside (a central proxy), the
    newest ``token`` wins.
    """

    @staticmethod
    @hookspec(firstresult=True)
    def hacore_router_traits() -> RouterTraits:
        """Return what the router is, whatever its settings. Called on the class (make it a static method); quick, no input or output."""

    @hookspec(firstresult=True)
    def hacore_route(self, request: Route) -> Applied | Degraded | None:
        """Make the outside match the state.

        Called on the plugin's own thread, the newest state wins and older ones are skipped; may block for 10 s. While ``state.hold``
        stands and has not ended, work that was held back by ``hacore_drain`` stays so; where it does not, it is let go.

        :raises PluginUnavailableError: what it drives does not answer; tried again as after ``Degraded``.
        """

    @hookspec(firstresult=True)
    def hacore_drain(self, request: Drain, job: Job) -> Held | Degraded | None:
        """Hold new work back, and return when none is under way any more, or at ``ends_at``.

        Called on the leader, on the plugin's own thread, pooler before proxy before address; the lease is renewed meanwhile, states wait.
        Abandoned 1 s after ``ends_at``, or when ``job`` is cancelled. Nothing is lost then: the next ``hacore_route`` without a hold lets
        everything go, also from another node or after a crash.

        :returns: ``None``, or no such hook: it cannot hold anything back.
        :raises PluginUnavailableError: what it drives does not answer.
        """
        return None

    @hookspec(firstresult=True)
    def hacore_revoke(self, request: Revoke) -> Applied | Degraded | None:
        """Take back what leads to this node.

        Called when this node loses the lease or gives it back, on the plugin's own thread before any waiting ``hacore_route``; may block
        for 1 s. Not for a lease that only ran out in maintenance: PostgreSQL goes on, and the next state says where to.
        The fence does not wait for it: what must end with the lease ends by itself (``valid_until``).
        """
        return None

    @hookspec(firstresult=True)
    def hacore_route_probe(self, request: Probe) -> Observed | None:
        """Return what the outside shows now, for people and metrics. Called at most every 10 s; may block for 1 s.

        :returns: ``None``: from here it cannot be seen where writes go. No metric says then that they go elsewhere than to the leader.
        """
        return None
