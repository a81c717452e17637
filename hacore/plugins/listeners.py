"""Kind ``listener``: telling all of them what has happened, and asking them before what is planned."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, cast

from hacore.errors import HacoreError, JobCancelledError
from hacore.hookspecs import AfterBootstrap, BeforeDemote, BeforePromote, BeforeStop, BeforeSwitchover
from hacore.interfaces import Gate, GatePolicy, Veto
from hacore.model.events import Event
from hacore.model.policy import Policy
from hacore.plugins.events import EventQueue
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle

logger = logging.getLogger(__name__)

IsCancelled = Callable[[], bool]
_Request = AfterBootstrap | BeforeDemote | BeforePromote | BeforeStop | BeforeSwitchover

_LIMIT_S: Final = 5.0


class Listeners:
    """All listeners of this node, in their configured order.

    Gates take ``is_cancelled``, which is asked again and again meanwhile, and raise :class:`JobCancelledError` as soon as it says so.
    """

    def __init__(self, plugins: Iterable[Plugin] = ()) -> None:
        self._plugins: tuple[Plugin, ...] = ()
        self._queues: dict[str, tuple[Plugin, EventQueue]] = {}
        self._policies: dict[tuple[str, Gate], GatePolicy] = {}
        self.use(plugins)

    def use(self, plugins: Iterable[Plugin]) -> None:
        """Take the place of the listeners so far. Of those that stay, what waits is still delivered."""
        self._plugins = tuple(plugins)
        wanted = {plugin.name: plugin for plugin in self._plugins if plugin.calls.has("hacore_event")}
        old = self._queues
        self._queues = {
            name: old[name] if name in old and old[name][0] is plugin else (plugin, EventQueue(plugin.calls))
            for name, plugin in wanted.items()
        }
        for name, (plugin, queue) in old.items():
            if wanted.get(name) is not plugin:
                queue.close(0.0)
        self._policies = {(plugin.name, policy.gate): policy for plugin in self._plugins for policy in _policies(plugin)}

    def tell(self, event: Event) -> None:
        """Queue an event for every listener. Never blocks."""
        for _, queue in self._queues.values():
            queue.put(event)

    def before_stop(self, request: BeforeStop, is_cancelled: IsCancelled | None = None) -> None:
        """Let the listeners act before PostgreSQL stops. What stops must stop: no veto counts."""
        for plugin in self._asked(Gate.BEFORE_STOP):
            veto = self._ask_one(plugin, Gate.BEFORE_STOP, request, is_cancelled)
            if veto is not None:
                logger.warning("veto against a stop does not count", extra={"plugin": plugin.name, "reason": veto.reason})

    def before_promote(self, request: BeforePromote, is_cancelled: IsCancelled | None = None) -> Veto | None:
        """Ask before this node leaves recovery."""
        return self._ask(Gate.BEFORE_PROMOTE, request, is_cancelled)

    def before_demote(self, request: BeforeDemote, is_cancelled: IsCancelled | None = None) -> Veto | None:
        """Ask before a planned demotion."""
        return self._ask(Gate.BEFORE_DEMOTE, request, is_cancelled)

    def before_switchover(self, request: BeforeSwitchover, is_cancelled: IsCancelled | None = None) -> Veto | None:
        """Ask before a planned switchover begins."""
        return self._ask(Gate.BEFORE_SWITCHOVER, request, is_cancelled)

    def after_bootstrap(self, request: AfterBootstrap, is_cancelled: IsCancelled | None = None) -> Veto | None:
        """Let the listeners prepare the first primary of a new cluster."""
        return self._ask(Gate.AFTER_BOOTSTRAP, request, is_cancelled)

    def dropped(self) -> dict[str, int]:
        """Return how many events were lost for each listener because its queue was full."""
        return {name: queue.dropped for name, (_, queue) in self._queues.items()}

    def close(self, timeout_s: float) -> bool:
        """Deliver what waits, for at most ``timeout_s`` in all, and tell nobody anything any more. Tell whether all was delivered."""
        queues, self._queues = self._queues, {}
        late = [name for name, (_, queue) in queues.items() if not queue.close(timeout_s / len(queues))]
        for name in late:
            logger.warning("listener was not told everything before the end", extra={"plugin": name})
        return not late

    def _asked(self, gate: Gate) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.calls.has(f"hacore_{gate}")]

    def _ask(self, gate: Gate, request: _Request, is_cancelled: IsCancelled | None) -> Veto | None:
        for plugin in self._asked(gate):
            veto = self._ask_one(plugin, gate, request, is_cancelled)
            if veto is not None:
                logger.warning("veto", extra={"plugin": plugin.name, "gate": str(gate), "reason": veto.reason})
                return Veto(reason=f"{plugin.name}: {veto.reason}")
        return None

    def _ask_one(self, plugin: Plugin, gate: Gate, request: _Request, is_cancelled: IsCancelled | None) -> Veto | None:
        policy = self._policies.get((plugin.name, gate), GatePolicy(gate=gate))
        limit_s = _longest_s(request.context.policy) if policy.limit_s is None else policy.limit_s
        job = JobHandle()
        try:
            answer = plugin.calls.call(f"hacore_{gate}", Veto, limit_s=limit_s, is_cancelled=is_cancelled, request=request, job=job)
            return cast("Veto | None", answer)
        except JobCancelledError:
            raise
        except HacoreError as error:
            logger.warning(
                "gate did not answer", extra={"plugin": plugin.name, "gate": str(gate), "error": str(error), "aborts": policy.aborts}
            )
            return Veto(reason=str(error)) if policy.aborts else None
        finally:
            job.cancel("the gate is closed")  # ends what the plugin still runs


def _longest_s(policy: Policy) -> float:
    """Return how long the cluster waits for a primary that is slow to come: also for a gate that would take as long as it needs."""
    return max(policy.primary_start_timeout_s, policy.times.ttl_s)


def _policies(plugin: Plugin) -> list[GatePolicy]:
    if not plugin.calls.has("hacore_gate_policies"):
        return []
    try:
        found = plugin.calls.call("hacore_gate_policies", Sequence, limit_s=_LIMIT_S)
    except HacoreError as error:
        logger.warning("listener does not tell how long its gates may take", extra={"plugin": plugin.name, "error": str(error)})
        return []
    return [one for one in cast("Sequence[object] | None", found) or () if isinstance(one, GatePolicy)]
