"""Making this node's data directory a copy of the cluster. The methods are the caller's; the mark, the cleaning and the seal are ours."""

from pathlib import Path
from typing import Final

from hacore.errors import PostgresUnreachableError
from hacore.interfaces import Source
from hacore.model.node import DirectoryState
from hacore.model.steps import CreateReplica
from hacore.postgres.cleaning import clean, refuse_foreign
from hacore.postgres.conninfo import endpoint, format_conninfo, options_of
from hacore.postgres.directory import read_directory
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.passfile import Login, login, temporary_passfile
from hacore.postgres.restore_settings import keep_restore_settings
from hacore.postgres.seal import seal
from hacore.postgres.surroundings import ReplicaSite, Surroundings
from hacore.postgres.tooling import environment_of, programs_of

MARK: Final = "creation of a replica"


def create_replica(instance: Instance, job: JobHandle, step: CreateReplica, around: Surroundings) -> None:
    """Fill the directory by the chain of methods and seal it. A failure leaves the mark, so that it is never started.

    :raises DataDirectoryError: the directory may not be touched, every method has failed, or what came out is not of this cluster.
    """
    refuse_foreign(instance, step.system_id)
    directory = read_directory(instance, answer=None, is_stopped=False, patience_s=0.0)
    if directory.state is DirectoryState.INITIALIZED:
        push_leftovers(instance, job, stops_at_conflict=False)
    instance.mark.set(MARK)
    logins: tuple[Login, ...] = ()
    address = around.address_of(step.source) if step.source is not None else None
    if step.source is not None and address is None:
        raise PostgresUnreachableError(f"{step.source}: the address of this member is not known")
    if address is not None:
        logins = login(instance.settings.authentication.replication, *address)
    with temporary_passfile(instance.layout.state_dir, logins) as passfile:
        source = _source(instance, step.source, address, passfile) if step.source and address else None
        site = ReplicaSite(
            data_dir=str(instance.layout.data_dir),
            source=source,
            system_id=step.system_id,
            major_version=instance.programs.major,
            programs=programs_of(instance),
            environment=environment_of(instance, passfile),
            space_bytes=directory.free_bytes,
            directory_state=directory.state.value,
            clean=lambda: clean(instance),
        )
        restore = around.create_replica(site, job)
    seal(instance, job, system_id=step.system_id)
    keep_restore_settings(instance.layout.state_dir, restore)
    instance.mark.clear()


def source_conninfo(instance: Instance, host: str, port: int) -> str:
    """Return the connection string of the replication user, without a secret."""
    connection = instance.settings.authentication.replication
    values = {"dbname": instance.settings.database, **endpoint(host, port), **options_of(connection, instance.programs.major)}
    return format_conninfo({**values, "application_name": instance.settings.name})


def _source(instance: Instance, member: str, address: tuple[str, int], passfile: Path) -> Source:
    return Source(member=member, conninfo=source_conninfo(instance, *address), passfile=str(passfile))
