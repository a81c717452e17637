"""Kind ``dcs``: the store."""
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from dataclasses import dataclass
from typing import Protocol

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import Dcs, DcsCapabilities
from hacore.model.clock import Clock


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
        :raises ConfigError: a server answered, the settings are wrong; after a minute of it the core exits with 2. Where PostgreSQL runs
            here already it goes on without the store and tries again.
        """
