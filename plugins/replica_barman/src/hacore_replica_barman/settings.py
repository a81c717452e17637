"""What stands in the section ``plugins: {barman: ...}``, checked and frozen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Where ``barman-cloud-*`` keep things, and what else they are told."""

    url: str
    provider: str = "aws-s3"
    endpoint_url: str | None = None
    bin_dir: str | None = None  # of the programs; ``None``: the first in PATH
    options: tuple[str, ...] = ()  # for each program
    push_options: tuple[str, ...] = ()  # for ``barman-cloud-wal-archive``
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarmanSettings:
    """Where Barman is, how it is spoken to, and how long it may take."""

    server: str  # the server in Barman's configuration
    cloud: CloudSettings | None = None  # object storage in place of a host
    host: str | None = None  # reached by ssh; ``None``: Barman is on this machine
    user: str = "barman"  # there
    port: int | None = None  # of its sshd
    ssh_dir: str | None = None  # directory of the ``ssh`` to use; ``None``: the first in PATH
    config: str | None = None  # Barman's own file, on its host
    program: tuple[str, ...] = ()  # words before ``barman``, on its host
    backup_directory: str  # as Barman's key of the same name, on its host
    wals_directory: str  # the same
    recover_ssh_command: str | None = None  # by which Barman reaches this node; ``None``: it writes files here itself
    copies_wal: bool = False  # at a restore, besides the files
    slot: str | None = None  # by which Barman receives WAL
    threshold_megabytes: int = 10240  # of WAL that a new standby would have to replay
    threshold_backup_size_percentage: int = 30  # the same, measured by the size of the backup
    push_timeout_s: float = 300.0  # for one segment
    fetch_timeout_s: float = 300.0
    query_timeout_s: float = 8.0  # for what is asked of Barman
