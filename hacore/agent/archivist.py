"""Looks after the archive of this node's WAL: how it is reached, whose it is, how it goes. On a thread of its own, so that no turn waits.

It answers PostgreSQL's door (``postgres.archiving``), which writes programs and settings; the loop sees what it found as part of the node.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from hacore.agent.archive_fault import LastingFault
from hacore.agent.archive_memory import ArchiveMemory, fingerprint
from hacore.agent.archive_own import own_archiver
from hacore.errors import DataDirectoryError, HacoreError, PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, PluginContext
from hacore.interfaces import ArchiveConflict, ArchiveSettings, ArchiveStatus, Identity
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.clock import Instant
from hacore.model.node import Role
from hacore.model.text import short
from hacore.model.world import Decision, World
from hacore.plugins.archive import archive_identity, archive_settings, archive_status
from hacore.plugins.registry import Plugin
from hacore.postgres.archiver import archiver_facts, waiting
from hacore.postgres.archiving import ArchiveOrder
from hacore.postgres.instance import Instance, superuser_name
from hacore.postgres.job import JobHandle
from hacore.postgres.leftovers import push_leftovers

logger = logging.getLogger(__name__)

_LOOK_S: Final = 10.0
_STATUS_S: Final = 60.0
_PUSH_S: Final = 60.0
_PUSH_PATIENCE_S: Final = 10.0
_END_S: Final = 2.0
_GAPS_MAX: Final = 20
_HELD: Final = {
    ArchiveIdentity.UNASKED: "it has not been asked yet whose it is",
    ArchiveIdentity.UNANSWERED: "it does not answer whose it is, and this cluster is not known to have archived there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What one plugin has said for one data directory."""

    system_id: str
    major_version: int
    settings: ArchiveSettings
    fingerprint: str


class Archivist:
    """Implements :class:`hacore.ports.Publisher`; :meth:`order` is called from the threads that write the server's configuration."""

    def __init__(
        self, instance: Instance, *, context: Callable[[], PluginContext], wake: Callable[[], None], look_s: float = _LOOK_S
    ) -> None:  # fmt: skip
        self._instance, self._context, self._wake, self._look_s = instance, context, wake, look_s
        self._memory = ArchiveMemory(instance.layout.state_dir)
        self._changed = threading.Condition()
        self._plugin: Plugin | None = None
        self._known: _Known | None = None
        self._identity = ArchiveIdentity.UNASKED
        self._owner: str | None = None
        self._world: World | None = None
        self._is_due = False
        self._is_closed = False
        self._fault = LastingFault()
        self._status: ArchiveStatus | None = None
        self._status_at: float | None = None
        self._pushed_at: float | None = None
        self._job: JobHandle | None = None  # of a push that this thread does
        self._thread: threading.Thread | None = None

    def use(self, plugin: Plugin | None) -> None:
        """Take another plugin, or the same with other settings; ``None``: there is no archive."""
        with self._changed:
            if plugin is self._plugin:
                return
            self._plugin, self._known = plugin, None
            self._identity, self._owner, self._status, self._status_at = ArchiveIdentity.UNASKED, None, None, None
            self._fault, self._is_due = LastingFault(), True
            self._changed.notify_all()
        self._instance.archiving.state = None
        self._instance.archive_by(None if plugin is None else self.order, self._forget)

    def order(self, system_id: str, major_version: int) -> ArchiveOrder:
        """Say how the archive is reached, and whether WAL may go there.

        :raises PluginUnavailableError: the plugin has not said how.
        """
        plugin, known = self._plugin, self._known
        if plugin is None:
            raise PluginUnavailableError("no archive is configured any more")
        if known is None or (known.system_id, known.major_version) != (system_id, major_version):
            request = _request(self._instance, self._context(), system_id, major_version)
            settings = archive_settings(plugin, request)
            found = fingerprint(plugin.name, request, settings)
            known = _Known(system_id=system_id, major_version=major_version, settings=settings, fingerprint=found)
            with self._changed:
                if self._plugin is plugin:
                    self._known = known
                    self._identity, self._owner = ArchiveIdentity.UNASKED, None
        return ArchiveOrder(settings=known.settings, held=self._held(plugin, known))

    # --- the loop's thread ---------------------------------------------------------------------------------------------

    def published(self, world: World, decision: Decision) -> None:  # noqa: ARG002 - a publisher is told both
        """Take the newest world; look at once where this node has become primary."""
        with self._changed:
            before, self._world = self._world, world
            if self._is_closed:
                return
            if before is None or _is_primary(before) is not _is_primary(world):
                self._is_due = True
                self._changed.notify_all()
            if self._job is not None and not _is_idle_standby(world):
                self._job.cancel("the node has something else to do")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="archivist", daemon=True)
                self._thread.start()

    def lease_ends(self) -> None:
        """Nothing follows from it: PostgreSQL goes on with what it has to push."""

    def lease_renewed(self, fence_at: Instant) -> None:
        """Nothing follows from it."""

    def close(self) -> None:
        """End the thread; one that waits for a plugin is left to end with the process."""
        with self._changed:
            self._is_closed = True
            if self._job is not None:
                self._job.cancel("the agent ends")
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_END_S)

    # --- its own thread ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_due or self._is_closed, self._look_s)
                self._is_due = False
                plugin, world = self._plugin, self._world
                if self._is_closed:
                    return
            if world is None:
                continue
            state = self._look_somehow(plugin, world)
            with self._changed:
                if self._plugin is plugin:
                    self._instance.archiving.state = state
                now = time.monotonic()
                if plugin is None or state is None or state.identity is not ArchiveIdentity.OWN:
                    continue
                if not _is_idle_standby(world) or not state.ready_files:
                    continue
                if self._pushed_at is not None and now - self._pushed_at < _PUSH_S:
                    continue
                self._pushed_at, self._job = now, JobHandle()
            _push_waiting(self._instance, self._job)
            with self._changed:
                self._job = None

    def _look_somehow(self, plugin: Plugin | None, world: World) -> ArchiveState | None:
        try:
            if plugin is None:
                return own_archiver(self._instance, self._fault, is_primary=_is_primary(world))
            return self._look(plugin, world)
        except HacoreError as error:  # of the disk: the next look may have more luck
            logger.warning("the archive was not looked at", extra={"error": str(error)})
            return self._instance.archiving.state

    def _look(self, plugin: Plugin, world: World) -> ArchiveState:
        node = world.node
        is_primary = _is_primary(world)
        state = ArchiveState(name=plugin.name, identity=self._identity, is_watched=is_primary)
        control = self._instance.control.cached()
        if node.system_id is None or control is None:
            return state
        try:
            order = self.order(node.system_id, control.control.major_version)
            if is_primary and order.held is not None:
                self._ask(plugin, _request(self._instance, self._context(), node.system_id, control.control.major_version, node.timeline))
                order = self.order(node.system_id, control.control.major_version)
            held = order.held
        except HacoreError as error:
            held = str(error)
        return self._with_figures(replace(state, identity=self._identity, owner=self._owner), plugin, world, held)

    def _ask(self, plugin: Plugin, request: ArchiveRequest) -> None:
        """Ask whose the archive is, and put in force what follows from it."""
        before = self._identity, self._owner
        try:
            answer = archive_identity(plugin, request)
        except HacoreError as error:
            logger.warning("archive does not say whose it is", extra={"plugin": plugin.name, "error": str(error)})
            self._identity, self._owner = ArchiveIdentity.UNANSWERED, None
        else:
            self._take(answer.owner if isinstance(answer, ArchiveConflict) else None)
        if (self._identity, self._owner) != before:
            logger.info("archive", extra={"plugin": plugin.name, "identity": self._identity.value, "owner": self._owner or ""})
            self._instance.note(settings_wanted=True)
            self._wake()

    def _take(self, owner: str | None) -> None:
        if owner is not None:
            self._identity, self._owner = ArchiveIdentity.CONFLICT, owner
            return
        known = self._known
        if known is not None:
            try:
                self._memory.keep(known.fingerprint)
            except DataDirectoryError as error:  # it is asked again after a restart
                logger.warning("archive was not remembered", extra={"error": str(error)})
        self._identity, self._owner = ArchiveIdentity.OWN, None

    def _with_figures(self, state: ArchiveState, plugin: Plugin, world: World, held: str | None) -> ArchiveState:
        wal_dir = self._instance.layout.wal_dir
        notes, ready = self._instance.archiving.notes(), waiting(wal_dir)
        facts = archiver_facts(self._instance) if state.is_watched else None
        failed = (notes.push_failed or f"push of {facts.last_failed} failed") if facts is not None and facts.is_failing else None
        is_final = state.identity is ArchiveIdentity.CONFLICT
        fault = self._fault.look(held=held if state.is_watched else None, failed=failed, is_final=is_final)
        if state.is_watched:
            self._read_status(plugin, world)
        status = self._status
        return replace(
            state,
            fault=fault,
            ready_files=ready.files,
            oldest_ready_s=ready.oldest_s,
            pushed=facts.pushed if facts is not None else None,
            failed=facts.failed if facts is not None else None,
            fetches_broken=notes.fetches_broken,
            last_segment=short(status.last_segment) if status and status.last_segment is not None else None,
            gaps=tuple(map(short, status.gaps[:_GAPS_MAX])) if status else (),
        )

    def _read_status(self, plugin: Plugin, world: World) -> None:
        now = time.monotonic()
        if (self._status_at is not None and now - self._status_at < _STATUS_S) or self._known is None:
            return
        self._status_at = now
        known = self._known
        with suppress(PluginUnavailableError):  # counted and logged where it was called; the answer before it stands
            self._status = archive_status(
                plugin, _request(self._instance, self._context(), known.system_id, known.major_version, world.node.timeline)
            )

    def _forget(self) -> None:
        """A data directory begins a life of its own: nothing that is known of the archive counts for it."""
        with self._changed:
            self._memory.clear()
            self._known, self._identity, self._owner = None, ArchiveIdentity.UNASKED, None

    # --- values --------------------------------------------------------------------------------------------------------

    def _held(self, plugin: Plugin, known: _Known) -> str | None:
        """Say why WAL may not go there yet."""
        if self._identity is ArchiveIdentity.CONFLICT:
            return f"the archive of plugin {plugin.name} is another cluster's ({self._owner}): a person must decide"
        if self._identity is ArchiveIdentity.OWN or self._memory.knows(known.fingerprint):
            self._identity = ArchiveIdentity.OWN
            return None
        return f"the archive of plugin {plugin.name}: {_HELD[self._identity]}"


def _request(
    instance: Instance, context: PluginContext, system_id: str, major_version: int, timeline: int | None = None
) -> ArchiveRequest:  # fmt: skip
    settings = instance.settings
    socket_dir = settings.parameters.get("unix_socket_directories", "").partition(",")[0].strip()
    return ArchiveRequest(
        context=context,
        identity=Identity(system_id=system_id, major_version=major_version, scope=context.scope, timeline=timeline),
        data_dir=settings.data_dir,
        socket_dir=socket_dir or None,
        port=settings.port,
        superuser=superuser_name(settings.authentication.superuser),
        environment=instance.server_environment(),
    )


def _push_waiting(instance: Instance, job: JobHandle) -> None:
    """Push what this node kept when it was primary: a standby recycles it sooner or later, whether it waits or not."""
    try:
        push_leftovers(instance, job, stops_at_conflict=False, patience_s=_PUSH_PATIENCE_S)
    except (HacoreError, OSError) as error:
        logger.info("WAL of the time as primary waits on", extra={"reason": str(error)})


def _is_idle_standby(world: World) -> bool:
    return world.node.role is Role.STANDBY and world.lease is None and world.job is None


def _is_primary(world: World) -> bool:
    return world.lease is not None and world.node.is_primary
