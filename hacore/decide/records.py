"""The field's records that whoever leads writes again where they are missing or wrong (interface reference 5.2)."""

from hacore.model.cluster import ClusterView
from hacore.model.steps import PutRecord
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
