"""The newest that this node has seen, for its disk: a pure fold from turn to turn (safety.md 5)."""

from dataclasses import replace

from hacore.model.cluster import ClusterView
from hacore.model.memory import Memory, without_adoption
from hacore.model.node import DirectoryState, NodeState, Role, ServerState


def newest(before: Memory, *, scope: str, cluster: ClusterView | None, node: NodeState, paused: bool) -> Memory:
    """Return the memory with this reading in it. A store that went back to an older state changes nothing.

    Where the node is set up anew, under another scope and without data, what it has seen before speaks of another cluster.
    """
    if before.scope not in {None, scope} and node.directory.state is DirectoryState.EMPTY:
        before = Memory(token=before.token)  # a fence that has fired yields only to a larger one
    control = node.directory.control
    memory = replace(before, system_id=(control.system_id if control else None) or before.system_id, paused=paused)
    if node.server is ServerState.STOPPED or node.role is Role.STANDBY:
        memory = without_adoption(memory)
    if cluster is None or cluster.own is None:
        return memory
    own = cluster.own
    if before.store_id is not None and (own.token < before.token or (own.store_id != before.store_id and own.token == before.token)):
        return memory
    timeline = cluster.timeline
    names = tuple(sorted({*before.members, *own.known_members, *(member.name for member in cluster.members)}))
    memory = replace(memory, scope=scope, store_id=own.store_id, token=own.token, members=names)
    optime = cluster.status.optime
    if timeline is not None and (before.timeline is None or timeline > before.timeline):
        return replace(memory, timeline=timeline, lsn=optime)
    if timeline == before.timeline and optime is not None and (before.lsn is None or optime > before.lsn):
        return replace(memory, lsn=optime)
    return memory
