"""Whether a standby is better made of a backup: the rule of the field, with positions in WAL in place of a parsed table."""

from collections.abc import Sequence
from typing import Final

from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Backup, Offer, Refusal
from hacore_replica_walg.settings import WalgSettings

_MIB: Final = 1 << 20


def offer(settings: WalgSettings, request: ReplicaRequest, backups: Sequence[Backup]) -> Offer | Refusal:
    """Return the newest backup that leads to where the leader is, unless copying the leader is cheaper.

    :param backups: oldest first.
    """
    if not backups:
        return Refusal(reason="there is no backup")
    if request.system_id is not None and backups[-1].system_id not in {None, request.system_id}:
        return Refusal(reason=f"the prefix is of another cluster: system identifier {backups[-1].system_id}, want {request.system_id}")
    chosen = next((one for one in reversed(backups) if request.may_begin_with(one)), None)
    if chosen is None:
        return Refusal(reason="no backup is of this cluster and its leader's history")
    wal_bytes = None
    if request.leader_lsn is not None and chosen.start_lsn is not None:
        wal_bytes = max(0, request.leader_lsn - chosen.start_lsn)
    limit = _limit(settings, chosen)
    if wal_bytes is not None and wal_bytes > limit:
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


def _limit(settings: WalgSettings, backup: Backup) -> int:
    most = settings.threshold_megabytes * _MIB
    if backup.size_bytes is None or backup.parent is not None:  # the size of an increment says nothing about the whole
        return most
    return min(most, backup.size_bytes * settings.threshold_backup_size_percentage // 100)
