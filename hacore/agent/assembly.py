"""Puts the parts of one agent together: plugins, PostgreSQL, guard, store, loop. Starts no thread and makes no turn."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.agent.desk import Desk
from hacore.agent.disk import StateDirectory
from hacore.agent.fence import GuardLine, LoopFence
from hacore.agent.replicas import ReplicaMaker
from hacore.agent.session import LateDcs
from hacore.agent.settings import SettingsSource
from hacore.agent.telling import Count, Gates, RestPicture
from hacore.agent.waiter import Waiter
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import LocalSettings
from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import Dcs
from hacore.loop import Loop
from hacore.model.clock import BootClock
from hacore.observe.peers import HttpPeers
from hacore.plugins.dcs import open_dcs
from hacore.plugins.listeners import Listeners
from hacore.plugins.registry import Registry
from hacore.plugins.selection import agent_plugins
from hacore.ports import Ports, Publisher
from hacore.postgres.instance import Instance
from hacore.postgres.server import PostgresNode
from hacore.postgres.surroundings import Surroundings
from hacore.postgres.worker import JobWorker
from hacore.publish.journal import Journal
from hacore.publish.narrator import Narrator

logger = logging.getLogger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Everything that runs in the agent's process."""

    settings: SettingsSource
    registry: Registry
    listeners: Listeners
    guard: GuardLine
    node: PostgresNode
    worker: JobWorker
    dcs: Dcs
    desk: Desk
    waiter: Waiter
    peers: HttpPeers
    clock: BootClock
    loop: Loop
    count: Count
    journal: Journal
    state_dir: Path

    def close(self) -> None:
        """End threads and connections; guard and server stay as they are."""
        self.listeners.close(2.0)
        self.journal.close(2.0)
        self.node.close()
        self.dcs.close()
        self.registry.close()
        self.guard.close()


def assemble(settings: SettingsSource, environ: Mapping[str, str]) -> Agent:
    """Build an agent.

    :raises ConfigError: a plugin refuses its settings.
    :raises PluginError: a plugin that the configuration names cannot be had.
    """
    local, clock, waiter, registry = settings.local, BootClock(), Waiter(), Registry()
    registry.update(agent_plugins(local, settings.postgres))
    listeners = Listeners(registry.of_kind("listener"))
    state_dir = Path(local.guard.state_dir)
    desk, guard = Desk(waiter.wake), GuardLine(str(state_dir))
    instance = Instance(settings.postgres, launcher=guard, bootstrap=local.bootstrap, state_dir=str(state_dir))
    node = PostgresNode(instance, clock=clock)
    context = _Context(settings)
    maker = ReplicaMaker(registry=registry, settings=settings, desk=desk, context=context.now)
    gates = Gates(desk=desk, listeners=listeners, settings=settings, context=context.now)
    count = Count()
    surroundings = Surroundings(
        address_of=maker.address_of,
        create_replica=maker.create,
        before_stop=gates.before_stop,
        before_promote=gates.before_promote,
        after_bootstrap=gates.after_bootstrap,
        on_shut_down=lambda _: waiter.wake(),
        on_end=waiter.wake,
    )
    worker = JobWorker(instance, surroundings, clock=clock)
    peers = HttpPeers(local.ctl)
    dcs = LateDcs(lambda: open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=context.now())), clock)
    journal = Journal(state_dir)
    publishers: tuple[Publisher, ...] = (RestPicture(environ, clock, count.figures), Narrator(clock, listeners.tell, journal))
    ports = Ports(
        clock=clock,
        dcs=dcs,
        postgres=node,
        worker=worker,
        fence=LoopFence(guard),
        peers=peers,
        disk=StateDirectory(state_dir),
        settings=settings,
        boot_id=_BOOT_ID.read_text().strip(),
        publishers=publishers,
    )

    def changed(local: LocalSettings, postgres: PostgresSettings) -> None:
        registry.update(agent_plugins(local, postgres))
        listeners.use(registry.of_kind("listener"))
        node.configure(postgres)
        peers.use(local.ctl)

    settings.on_change(changed)
    return Agent(
        settings=settings,
        registry=registry,
        listeners=listeners,
        guard=guard,
        node=node,
        worker=worker,
        dcs=dcs,
        desk=desk,
        waiter=waiter,
        peers=peers,
        clock=clock,
        loop=Loop(ports),
        count=count,
        journal=journal,
        state_dir=state_dir,
    )


class _Context:
    """Where a plugin is and what is in force, made anew for each call."""

    def __init__(self, settings: SettingsSource) -> None:
        self._settings, self._clock = settings, BootClock()

    def now(self) -> PluginContext:
        local = self._settings.local
        return PluginContext(
            scope=local.scope, namespace=local.namespace, member=local.name, clock=self._clock, policy=self._settings.policy(None)
        )
