"""What work on one server needs of the world around it, handed in by the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hacore.errors import DataDirectoryError
from hacore.interfaces import Job, Source
from hacore.model.lsn import Lsn
from hacore.model.recovery import RecoveryTarget
from hacore.model.steps import DrainTraffic, Promote, StopServer
from hacore.postgres.job import JobHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSite:
    """Where a replica is to be made, for the chain of methods."""

    data_dir: str
    source: Source | None
    system_id: str | None
    major_version: int
    programs: Mapping[str, str]  # path of each server program by its usual name
    environment: Mapping[str, str] = field(repr=False)
    space_bytes: int | None
    directory_state: str  # before anything was done
    clean: Callable[[], None]  # empty the data directory; refused where it may be somebody else's


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """Whose files are to be put into a directory."""

    data_dir: str
    target: RecoveryTarget
    backup: str | None = None  # id; ``None``: the best for the target
    system_id: str | None = None
    is_bootstrap: bool = False  # from where the bootstrap method says, which may be another cluster's
    make_room: Callable[[], None] = lambda: None  # empties the directory; called once the backup is chosen, never for one that is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFiles:
    """How to recover what was put in place. ``restore_command``: ``None`` for this node's own."""

    restore_command: str | None = None
    along: int | None = None  # the timeline to follow in the archive; ``None``: not looked for


def _no_backups(order: RestoreOrder, _: JobHandle) -> RestoredFiles:
    raise DataDirectoryError(f"{order.data_dir}: nothing restores backups here")


RestoreSettings = tuple[tuple[str, str], ...]
CreateReplicaCall = Callable[[ReplicaSite, Job], RestoreSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Each call is made on the worker's thread."""

    address_of: Callable[[str], tuple[str, int] | None]  # host and port at which PostgreSQL of a member is reached
    create_replica: CreateReplicaCall  # the chain of methods; raises DataDirectoryError when all have failed
    restore_files: Callable[[RestoreOrder, JobHandle], RestoredFiles] = _no_backups
    token: Callable[[], int | None] = lambda: None  # fencing token of the lease under which the work was begun: set by the worker
    before_switchover: Callable[[str], None] = lambda _candidate: None  # raises to veto
    before_stop: Callable[[StopServer], None] = lambda _: None  # raises to veto a switchover
    before_promote: Callable[[Promote], None] = lambda _: None  # raises to veto
    drain: Callable[[DrainTraffic, JobHandle], None] = lambda _step, _job: None  # raises where not all routers hold work back
    after_bootstrap: Callable[[str, str], None] = lambda _conninfo, _passfile: None  # raises to veto
    on_shut_down: Callable[[Lsn], None] = lambda _: None  # the control file says "shut down"; the archiver may still work
    on_end: Callable[[], None] = lambda: None  # the outcome is there: wake the loop
