"""The field's records that whoever leads writes: with the lock, where they are missing or wrong (interface reference 5.2), or done with."""

from hacore.decide.own import acquisition
from hacore.model.cluster import ClusterView, FailoverRequest
from hacore.model.lease import Lock
from hacore.model.steps import AcquireLease, PutRecord
from hacore.model.world import World


def missing_config(world: World, cluster: ClusterView) -> tuple[PutRecord, ...]:
    """Return what writes ``config`` where there is none. It says ``pause`` where that is in force: nothing ends maintenance unasked."""
    config = world.me.bootstrap_config
    if cluster.config is not None or "config" in cluster.broken or config is None:
        return ()
    return (PutRecord(name="config", value=config, expected=0),)


def missing_records(world: World, cluster: ClusterView) -> tuple[PutRecord, ...]:
    """Return what writes ``initialize`` and ``config`` where they are not as this primary knows them."""
    system_id = world.node.system_id
    if system_id is None or cluster.initialize == system_id:
        return missing_config(world, cluster)
    put = PutRecord(name="initialize", value=system_id, expected=cluster.initialize_version or 0)
    return (put, *missing_config(world, cluster))


def taking(world: World, cluster: ClusterView, *puts: PutRecord, replaces: Lock | None = None) -> AcquireLease:
    """Return the step that takes the lock, and in the same transaction writes ``config`` where there is none, and ``puts``."""
    return AcquireLease(
        own=acquisition(world, cluster),
        own_version=cluster.own_version or 0,
        puts=(*missing_config(world, cluster), *puts),
        replaces=replaces,
    )


def blank_request(request: FailoverRequest) -> PutRecord:
    """Return the step that blanks ``/failover``: the record is never deleted (interface reference 3.1)."""
    return PutRecord(name="failover", value="{}", expected=request.version)
