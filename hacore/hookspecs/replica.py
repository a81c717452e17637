"""Kind ``replica``: ways to create a standby's data directory."""
# ruff: noqa: ARG002
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import Backup, BackupState, Created, Failed, Job, Offer, Refusal, Source
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRequest:
    """Make a data directory of this cluster in ``data_dir``."""

    context: PluginContext
    method: str  # its name in ``create_replica_methods``; for a script not the plugin's
    data_dir: str
    source: Source | None  # server to copy from; ``None``: there is none, or the method needs none
    options: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)  # the method's section, in its order; the core's keys not
    command: str | None = None  # the method is a script: this is its command line
    no_params: bool = False  # the script is called with its own options alone
    keeps_data: bool = False  # what lies in ``data_dir`` is left to the method (``keep_data: true``)
    system_id: str | None = None
    major_version: int | None = None
    leader_lsn: Lsn | None = None
    leader_history: TimelineHistory | None = None  # the leader's timeline and those that it descends from
    directory_state: str = "empty"  # ``empty``, or with ``keeps_data`` what is there: ``initialized``, ``unfinished``, ``broken``
    space_bytes: int | None = None  # free where ``data_dir`` is
    programs: Mapping[str, str] = field(default_factory=dict)  # path of each server program by its usual name
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # for child processes: nothing else is passed on

    def program(self, name: str) -> str:
        """Return the path of a program of PostgreSQL: ``pg_basebackup``."""
        return self.programs.get(name, name)

    def may_begin_with(self, backup: Backup) -> bool:
        """Tell whether a standby that begins with ``backup`` can get to where the leader is; what the tool does not tell speaks for it."""
        if self.system_id is not None and backup.system_id not in {None, self.system_id}:
            return False
        if self.major_version is not None and backup.major_version not in {None, self.major_version}:
            return False
        history = self.leader_history
        if history is None or backup.timeline is None:
            return True
        if not history.has(backup.timeline):
            return False
        end = backup.stop_lsn if backup.stop_lsn is not None else backup.start_lsn
        return end is None or history.has_prefix(backup.timeline, end)

    def offer_of(self, backups: Sequence[Backup], *, most_megabytes: int, most_percent: int) -> Offer | Refusal:
        """Return the newest good backup that leads to where the leader is, unless copying the leader is cheaper: the rule of the field.

        :param backups: oldest first.
        :param most_megabytes: of WAL to replay, and not more than ``most_percent`` of the size of a backup that is a whole one.
        """
        good = [one for one in backups if one.state is BackupState.OK]
        chosen = next((one for one in reversed(good) if self.may_begin_with(one)), None)
        if chosen is None:
            return Refusal(reason=f"none of {len(good)} good backups is of this cluster and its leader's history")
        limit = most_megabytes * _MIB
        if chosen.size_bytes is not None and chosen.parent is None:  # the size of an increment says nothing about the whole
            limit = min(limit, chosen.size_bytes * most_percent // 100)
        wal_bytes = None
        if self.leader_lsn is not None and chosen.start_lsn is not None:
            wal_bytes = max(0, self.leader_lsn - chosen.start_lsn)
            if wal_bytes > limit:
                return Refusal(reason=f"{chosen.id}: {wal_bytes // _MIB} MiB of WAL to replay, want at most {limit // _MIB}")
        return Offer(
            backup_id=chosen.id,
            system_id=chosen.system_id,
            timeline=chosen.timeline,
            start_lsn=chosen.start_lsn,
            size_bytes=chosen.size_bytes,
            wal_bytes=wal_bytes,
            wal_limit_bytes=limit,
        )


class ReplicaPlugin(AnyPlugin, Protocol):
    """Kind ``replica``: a chain, in the order of ``create_replica_methods``."""

    @hookspec(firstresult=True)
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal | None:
        """Tell what this method would start from, without any effect.

        Called in the thread of the job before ``hacore_create_replica``; may block for 10 s. The core skips an offer that is of another
        system identifier, of a timeline that is not in the leader's history, of a position beyond the one at which the leader left that
        timeline, or that needs more WAL than it is worth: more than ``wal_limit_bytes`` or, where the offer has none, than 10 GiB or 30 %
        of its size.

        :returns: an offer; a refusal: the next method is tried; ``None``, or no such hook: the method always tries.
        :raises PluginUnavailableError: what it drives does not answer: the next method is tried.
        """
        return None

    @hookspec(firstresult=True)
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed | None:
        """Fill ``data_dir`` with a data directory of this cluster.

        Called in the thread of the job, without a limit; the core has emptied the directory before (unless ``keeps_data``), and afterwards
        writes all recovery settings itself. Run programs with ``job.run``, so that cancelling ends them, and report with ``job.progress``.

        :param offer: what ``hacore_replica_offer`` returned.
        :returns: how it ended. After ``Failed`` the core cleans the directory, unless it is ``untouched``, and tries the next method.
        :raises JobCancelledError: let it pass when ``job`` raises it.
        :raises PluginUnavailableError: as ``Failed`` with a directory that must be cleaned.
        """
