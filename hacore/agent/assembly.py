"""Puts the parts of one agent together: plugins, PostgreSQL, guard, store, loop. Starts no thread and makes no turn."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from hacore.agent.archivist import Archivist
from hacore.agent.backup_check import RestoreCheck
from hacore.agent.backup_completion import BackupCompletion
from hacore.agent.backup_keeper import BackupKeeper
from hacore.agent.backup_leader import BackupLeader
from hacore.agent.backup_member import BackupMember
from hacore.agent.backup_store import BackupStore
from hacore.agent.backup_tool import BackupTool
from hacore.agent.desk import Desk
from hacore.agent.disk import StateDirectory
from hacore.agent.fence import GuardLine, LoopFence
from hacore.agent.replicas import ReplicaMaker
from hacore.agent.reporter import Reporter
from hacore.agent.restores import RestoreMaker
from hacore.agent.routing import RoutingNews
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
from hacore.plugins.routers import Routers
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
class _Site:
    """What most parts need."""

    settings: SettingsSource
    registry: Registry
    listeners: Listeners
    routers: Routers
    guard: GuardLine
    desk: Desk
    waiter: Waiter
    clock: BootClock
    context: Callable[[], PluginContext]

    @property
    def state_dir(self) -> Path:
        """Where this node keeps its own files."""
        return Path(self.settings.local.guard.state_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Everything that runs in the agent's process."""

    site: _Site
    node: PostgresNode
    worker: JobWorker
    dcs: Dcs
    peers: HttpPeers
    loop: Loop
    count: Count
    journal: Journal
    archivist: Archivist
    backups: BackupKeeper

    def close(self) -> None:
        """End threads and connections; guard and server stay as they are."""
        self.count.reporter.close()
        self.backups.close(2.0)
        self.archivist.close()
        self.site.listeners.close(2.0)
        self.site.routers.close(5.0)  # what leads here goes now, not with the lease: on a busy machine that takes a while
        self.journal.close(2.0)
        self.node.close()
        self.dcs.close()
        self.site.registry.close()
        self.site.guard.close()


def assemble(settings: SettingsSource, environ: Mapping[str, str]) -> Agent:
    """Build an agent.

    :raises ConfigError: a plugin refuses its settings.
    :raises PluginError: a plugin that the configuration names cannot be had.
    """
    local, clock, waiter, registry = settings.local, BootClock(), Waiter(), Registry()
    registry.update(agent_plugins(local, settings.postgres))
    site = _Site(
        settings=settings,
        registry=registry,
        listeners=Listeners(registry.of_kind("listener")),
        routers=Routers(clock),
        guard=GuardLine(local.guard.state_dir),
        desk=Desk(waiter.wake, settings.read_again),
        waiter=waiter,
        clock=clock,
        context=_Context(settings).now,
    )
    site.routers.use(registry.of_kind("router"), settings.router_traits)
    node, worker = _server(site)
    peers, count, journal = HttpPeers(local.ctl), Count(registry, site.routers, Reporter(registry)), Journal(site.state_dir)
    dcs = LateDcs(
        lambda: open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=site.context(), state_dir=str(site.state_dir))),
        clock,
        has_server=lambda: node.instance.processes.postmaster() is not None,
    )
    archivist = Archivist(node.instance, context=site.context, wake=waiter.wake)
    archivist.use(next(iter(registry.of_kind("archive")), None))
    ports = Ports(
        clock=clock,
        dcs=dcs,
        postgres=node,
        worker=worker,
        fence=LoopFence(site.guard),
        peers=peers,
        disk=StateDirectory(site.state_dir),
        settings=settings,
        boot_id=_BOOT_ID.read_text().strip(),
        publishers=(*_publishers(site, environ, count, journal), archivist),
    )

    def changed(local: LocalSettings, postgres: PostgresSettings) -> None:
        registry.update(agent_plugins(local, postgres))
        site.listeners.use(registry.of_kind("listener"))
        site.routers.use(registry.of_kind("router"), settings.router_traits)
        archivist.use(next(iter(registry.of_kind("archive")), None))
        count.reporter.begin()
        node.configure(postgres)
        peers.use(local.ctl)

    settings.on_change(changed)
    return Agent(
        site=site,
        node=node,
        worker=worker,
        dcs=dcs,
        peers=peers,
        loop=Loop(ports),
        count=count,
        journal=journal,
        archivist=archivist,
        backups=_backups(site, node),
    )


def _publishers(site: "_Site", environ: Mapping[str, str], count: Count, journal: Journal) -> tuple[Publisher, ...]:
    """Build those who are told of each turn."""
    return (
        RoutingNews(site.routers, site.clock, site.context()),
        RestPicture(environ, site.clock, count.figures),
        Narrator(site.clock, site.listeners.tell, journal),
    )


def _backups(site: "_Site", node: PostgresNode) -> BackupKeeper:
    """Build what cares for backups, beside the loop."""
    tool = BackupTool(
        registry=site.registry,
        settings=site.settings,
        desk=site.desk,
        instance=node.instance,
        context=site.context,
        verify_by_restore=RestoreCheck(settings=site.settings, instance=node.instance),
    )
    store = BackupStore(site.desk, site.clock)
    member = BackupMember(store=store, tool=tool, clock=site.clock)
    completion = BackupCompletion(store=store, instance=node.instance, clock=site.clock, listed=tool.known)
    leader = BackupLeader(store=store, tool=tool, completion=completion, clock=site.clock, new_id=lambda: uuid4().hex)
    return BackupKeeper(site.desk.latest, member, leader)


def _server(site: "_Site") -> tuple[PostgresNode, JobWorker]:
    """Build the door to PostgreSQL and what carries out long work on it."""

    def is_cancelled() -> bool:
        state = worker.state()
        return state is not None and state.cancelled

    local = site.settings.local
    instance = Instance(site.settings.postgres, launcher=site.guard, bootstrap=local.bootstrap, state_dir=local.guard.state_dir)
    maker = ReplicaMaker(registry=site.registry, settings=site.settings, desk=site.desk, context=site.context)
    restorer = RestoreMaker(registry=site.registry, settings=site.settings, context=site.context, clock=site.clock)
    gates = Gates(desk=site.desk, listeners=site.listeners, context=site.context, is_cancelled=is_cancelled)
    surroundings = Surroundings(
        address_of=maker.address_of,
        create_replica=maker.create,
        drain=site.routers.drain,
        restore_files=lambda order, job: restorer.restore(instance, order, job),
        before_switchover=gates.before_switchover,
        before_stop=gates.before_stop,
        before_promote=gates.before_promote,
        after_bootstrap=gates.after_bootstrap,
        on_shut_down=lambda _: site.waiter.wake(),
        on_end=site.waiter.wake,
    )
    worker = JobWorker(instance, surroundings, clock=site.clock)
    return PostgresNode(instance, clock=site.clock), worker


class _Context:
    """Where a plugin is and what is in force, made anew for each call."""

    def __init__(self, settings: SettingsSource) -> None:
        self._settings, self._clock = settings, BootClock()

    def now(self) -> PluginContext:
        local = self._settings.local
        return PluginContext(
            scope=local.scope, namespace=local.namespace, member=local.name, clock=self._clock, policy=self._settings.policy(None)
        )
