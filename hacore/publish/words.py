"""State and role of this node in the words of the field (interface reference 5.9): for the member record, REST and lists."""

from collections.abc import Mapping
from typing import Final

from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.world import World

STATES: Final = (  # their order is the index that metrics show
    "initializing new cluster",
    "initdb failed",
    "running custom bootstrap script",
    "custom bootstrap failed",
    "creating replica",
    "running",
    "starting",
    "starting after custom bootstrap",
    "start failed",
    "restarting",
    "restart failed",
    "stopping",
    "stopped",
    "stop failed",
    "crashed",
)

_OF_JOB: Final[Mapping[JobKind, str]] = {
    JobKind.BOOTSTRAP: "initializing new cluster",
    JobKind.CREATE_REPLICA: "creating replica",
    JobKind.CRASH_RECOVERY: "starting",
    JobKind.RESTORE: "starting",
    JobKind.START: "starting",
    JobKind.RESTART: "restarting",
    JobKind.STOP: "stopping",
}
_OF_SERVER: Final[Mapping[ServerState, str]] = {
    ServerState.STARTING: "starting",
    ServerState.RUNNING: "running",
    ServerState.UNREACHABLE: "running",  # it is there; that it does not answer is told beside it
    ServerState.STOPPING: "stopping",
    ServerState.ORPHANED: "stopping",  # not ``crashed``: that proves to others that no process is left
}


def state_word(world: World) -> str:
    """Return the state: what is being done, else what the server is."""
    if world.job is not None and world.job.kind in _OF_JOB:
        return _OF_JOB[world.job.kind]
    return _OF_SERVER.get(world.node.server) or _of_a_stopped_server(world)


def role_word(world: World) -> str:
    """Return the role: measured where the server answered, else from what lies on the disk."""
    node = world.node
    if node.role is not None:
        return "primary" if node.role is Role.PRIMARY else "replica"
    directory = node.directory
    if directory.state in {DirectoryState.EMPTY, DirectoryState.UNFINISHED}:
        return "uninitialized"
    if directory.control is None or directory.has_standby_signal or not directory.control.was_primary or world.is_new_copy:
        return "replica"
    return "primary" if world.lease is not None else "demoted"


def _of_a_stopped_server(world: World) -> str:
    directory = world.node.directory
    if directory.state is DirectoryState.EMPTY:
        bootstrap = world.outcome(JobKind.BOOTSTRAP)
        return "initdb failed" if bootstrap is not None and not bootstrap.is_done else "stopped"
    if world.node.last_start_failed is not None:
        return "start failed"
    died = directory.control is not None and directory.control.state == "in production"
    return "crashed" if died and not world.is_new_copy else "stopped"
