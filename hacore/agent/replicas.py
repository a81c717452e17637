"""Creation of a replica: hands what PostgreSQL's door says of the place to the configured chain of plugins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.agent.desk import Desk
from hacore.agent.settings import SettingsSource
from hacore.errors import DataDirectoryError
from hacore.hookspecs import PluginContext, ReplicaRequest
from hacore.interfaces import Created, Job
from hacore.model.address import host_and_port
from hacore.model.world import Decision, World
from hacore.plugins.registry import Registry
from hacore.plugins.replica import create_replica, methods_of
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
            directory_state=site.directory_state,
            space_bytes=site.space_bytes,
            programs=site.programs,
            environment=site.environment,
        )
        outcome = create_replica(self.registry, methods_of(self.settings.postgres), request, job, site.clean)
        if isinstance(outcome, Created):
            return outcome.restore_settings
        raise DataDirectoryError(outcome.reason)
