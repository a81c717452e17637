"""Whether a standby is better made of a backup, by positions in WAL."""

from collections.abc import Sequence
from typing import Final

from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Backup, BackupState, Offer, Refusal
from hacore_replica_barman.settings import BarmanSettings

_MIB: Final = 1 << 20


def offer(settings: BarmanSettings, request: ReplicaRequest, backups: Sequence[Backup]) -> Offer | Refusal:
    """Return the newest good backup that leads to where the leader is, unless copying the leader is cheaper.

    :param backups: oldest first.
    """
    good = [one for one in backups if one.state is BackupState.OK]
    if not good:
        return Refusal(reason=f"there is no good backup among {len(backups)}")
    chosen = next((one for one in reversed(good) if request.may_begin_with(one)), None)
    if chosen is None:
        return Refusal(reason=f"no backup of {settings.server} is of this cluster and its leader's history")
    limit = settings.threshold_megabytes * _MIB
    if chosen.size_bytes is not None:
        limit = min(limit, chosen.size_bytes * settings.threshold_backup_size_percentage // 100)
    wal_bytes = None
    if request.leader_lsn is not None and chosen.start_lsn is not None:
        wal_bytes = max(0, request.leader_lsn - chosen.start_lsn)
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
        needs_source=False,
    )
