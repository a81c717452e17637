"""Creation of a replica: hands what PostgreSQL's door says of the place to the configured chain of plugins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.agent.desk import Desk
from hacore.agent.settings import SettingsSource
from hacore.decide.lineage import recorded_history
from hacore.errors import DataDirectoryError
from hacore.hookspecs import PluginContext, ReplicaRequest
from hacore.interfaces import Created, Job
from hacore.model.address import host_and_port
from hacore.model.timeline import TimelineHistory
from hacore.model.world import Decision, World
from hacore.plugins.registry import Registry
from hacore.plugins.replica import create_replica, methods_of
from hacore.postgres.history import FIRST
from hacore.postgres.surroundings import ReplicaSite, RestoreSettings

_TURN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMaker:
    """Runs in the worker's thread."""

    registry: Registry
    settings: SettingsSource
    desk: Desk
    context: Callable[[], PluginContext]

    def address_of(self, name: str) -> tuple[str, int] | None:
        """Return host and port of the member called ``name``, as its record says; the turn that began the work may not have ended yet."""

        def find(world: World, _: Decision) -> tuple[str, int] | None:
            member = world.cluster.member(name) if world.cluster else None
            return host_and_port(member.conn_url) if member and member.conn_url else None

        return self.desk.wait_for(find, _TURN_S)

    def create(self, site: ReplicaSite, job: Job) -> RestoreSettings:
        """Try the methods in their order.

        :raises DataDirectoryError: all have failed.
        """
        history = self._leader_history()
        latest = self.desk.latest()
        cluster = latest[0].cluster if latest else None
        request = ReplicaRequest(
            context=self.context(),
            method="",
            data_dir=site.data_dir,
            source=site.source,
            system_id=site.system_id,
            major_version=site.major_version,
            leader_lsn=cluster.status.optime if cluster else None,
            leader_history=history,
            directory_state=site.directory_state,
            space_bytes=site.space_bytes,
            programs=site.programs,
            environment=site.environment,
        )
        outcome = create_replica(self.registry, methods_of(self.settings.postgres), request, job, site.clean)
        if isinstance(outcome, Created):
            return outcome.restore_settings
        raise DataDirectoryError(outcome.reason)

    def _leader_history(self) -> TimelineHistory | None:
        """Return where the leader's WAL comes from; a leader that was promoted just now is given the time to write it down.

        A backup of a time that was given up, as by a restore to an earlier point, would make a standby that can never follow.
        """

        def find(world: World, _: Decision) -> tuple[TimelineHistory | None] | None:
            cluster = world.cluster
            history = recorded_history(cluster) if cluster is not None else None
            is_awaited = history is None and cluster is not None and (cluster.timeline or FIRST) > FIRST
            return None if is_awaited else (history,)

        found = self.desk.wait_for(find, _TURN_S)
        return found[0] if found is not None else None
