"""This node's member record, from the world of the turn (interface reference 3.2)."""

from typing import Final

from hacore import INTERFACE_VERSION, __version__
from hacore.model.cluster import Member
from hacore.model.commands import RestartCommand
from hacore.model.node import Role, ServerState
from hacore.model.world import World
from hacore.publish.picture import scheduled_restart_document
from hacore.publish.words import role_word, state_word
from hacore.records.json_text import compact

_PARTIAL: Final = "partial"
_WITH_POSITION: Final = frozenset({ServerState.RUNNING, ServerState.STARTING})


def member_of(world: World) -> Member:
    """Return what this node says of itself."""
    me, node = world.me, world.node
    is_standby = node.role is Role.STANDBY
    scheduled = next((command for command in world.commands if isinstance(command, RestartCommand) and command.schedule), None)
    unsettled = world.lease is not None and node.is_primary and node.timeline != world.sightings.checkpointed_timeline
    return Member(
        name=me.name,
        conn_url=me.conn_url,
        api_url=me.api_url,
        proxy_url=me.proxy_url,
        state=state_word(world),
        role=role_word(world),
        version=INTERFACE_VERSION,
        hacore_version=__version__,
        times=(world.times.ttl_s, world.times.loop_wait_s, world.times.retry_timeout_s),
        tags=me.tags,
        lsn=node.lsn if node.server in _WITH_POSITION else None,
        receive_lsn=node.lsn if is_standby else None,  # the receiver starts anew at a segment's beginning, behind what was replayed
        replay_lsn=node.replayed_lsn if is_standby else None,
        replication_state=node.replication_state if is_standby else None,
        timeline=node.timeline,
        pending_restart=bool(node.pending_restart),
        pending_restart_reason=node.pending_restart,
        scheduled_restart=compact(scheduled_restart_document(scheduled)) if scheduled else None,
        pause=world.policy.pause,
        checkpoint_after_promote=not unsettled,
        unsupported=world.policy.unsupported,
        archive_fault=node.archive.fault if node.archive is not None else None,
        is_fence_partial=node.fence.coverage == _PARTIAL,
    )
