"""Is the cluster whole: a leader that runs, and every member following it? Pure."""

from hacore.model.cluster import ClusterView

_FOLLOWING = frozenset({"streaming", "in archive recovery"})


def missing(view: ClusterView) -> str | None:
    """Say what the cluster lacks; ``None``: it is whole."""
    leader = view.leader
    if leader is None:
        return "there is no leader"
    if not leader.is_running or leader.role not in {"primary", "standby_leader"}:
        return f"the leader {leader.name} is {leader.state}, in role {leader.role}"
    if not leader.checkpoint_after_promote:
        return f"the leader {leader.name} has not finished its first checkpoint"
    for one in view.members:
        if one.name == leader.name:
            continue
        if not one.is_running:
            return f"{one.name} is in state {one.state}"
        if one.replication_state is not None and one.replication_state not in _FOLLOWING:
            return f"{one.name} is in state {one.replication_state}"
        if one.is_hacore and one.replication_state is None:
            return f"{one.name} does not stream yet"
        if leader.timeline is not None and one.timeline is not None and one.timeline != leader.timeline:
            return f"{one.name} is on timeline {one.timeline}, the leader on {leader.timeline}"
    return None
