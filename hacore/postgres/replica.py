"""Making this node's data directory a copy of the cluster. The methods are the caller's; the mark, the cleaning and the seal are ours."""

from pathlib import Path
from typing import Final

from hacore.errors import PostgresUnreachableError
from hacore.interfaces import Source
from hacore.model.node import DirectoryState
from hacore.model.steps import CreateReplica
from hacore.postgres.cleaning import clean, refuse_foreign
from hacore.postgres.conninfo import format_conninfo
from hacore.postgres.directory import read_directory
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.leader import let_in, replication_dsn
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.passfile import Login, login, temporary_passfile
from hacore.postgres.restore_settings import keep_restore_settings
from hacore.postgres.seal import seal
from hacore.postgres.surroundings import ReplicaSite, Surroundings
from hacore.postgres.tooling import environment_of, programs_of

MARK: Final = "creation of a replica"
_OLD: Final = frozenset({DirectoryState.INITIALIZED, DirectoryState.BROKEN})  # nobody has thrown it away yet


def create_replica(instance: Instance, job: JobHandle, step: CreateReplica, around: Surroundings) -> None:
    """Fill the directory by the chain of methods and seal it. A failure leaves the mark, so that it is never started.

    :raises PostgresUnreachableError: leader or source is not fit to copy from; what lies here is left as it is.
    :raises DataDirectoryError: the directory may not be touched, every method has failed, or what came out is not of this cluster.
    :raises ArchiveConflictError: the archive has other WAL under the names of what waits here, whose only copy this is, and no person
        has asked for a new one: nothing is emptied.
    """
    refuse_foreign(instance, step.system_id, is_remembered=step.is_remembered)
    directory = read_directory(instance, answer=None, is_stopped=False, patience_s=0.0)
    address = _address_of(step.source, around) if step.source is not None else None
    if directory.state in _OLD:
        _ask_first(instance, step, around)
    if directory.state is DirectoryState.INITIALIZED:
        push_leftovers(instance, job, stops_at_conflict=step.command is None)
    instance.mark.set(MARK)
    logins: tuple[Login, ...] = ()
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


def _address_of(member: str, around: Surroundings) -> tuple[str, int]:
    address = around.address_of(member)
    if address is None:
        raise PostgresUnreachableError(f"{member}: the address of this member is not known")
    return address


def _ask_first(instance: Instance, step: CreateReplica, around: Surroundings) -> None:
    """Return where the leader is primary and lets itself be copied: what lies here may be the last copy (safety.md 9, I10).

    :raises PostgresUnreachableError: leader or source does not answer, does not let the replication user in, or is another's.
    """
    for member in {name: None for name in (step.leader, step.source) if name is not None}:
        host, port = _address_of(member, around)
        system_id, in_recovery = let_in(instance, host, port)
        if step.system_id is not None and system_id != step.system_id:
            raise PostgresUnreachableError(f"{member}: system identifier {system_id} is of another cluster, want {step.system_id}")
        if in_recovery and member == step.leader:
            raise PostgresUnreachableError(f"{member}: in recovery, want the primary")


def _source(instance: Instance, member: str, address: tuple[str, int], passfile: Path) -> Source:
    return Source(member=member, conninfo=format_conninfo(replication_dsn(instance, *address)), passfile=str(passfile))
