"""What happens in the scripted demonstration, one function each, in order."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from hacore.demo.place import DemoError
from hacore.demo.show import DEADLINE_S, Show, Step
from hacore.demo.stage import become_whole
from hacore.testing.cluster import ClusterNode
from hacore.testing.history import boot_s


def bootstrap(show: Show) -> Step:
    """Three empty directories become a cluster; then the writers begin."""

    def start_again(node: ClusterNode, code: int) -> None:
        show.say(f"      {node.name} ended with exit code {code} and is started again, as a service manager would")
        node.start()

    begun_at = boot_s()
    show.cluster.start()
    become_whole(show.cluster, start_again, deadline_s=DEADLINE_S)
    step = show.step("bootstrap", begun_at, lambda leader: f"{leader.name} was initialized, {_names(show, leader)} copied it and stream")
    show.begin_writing()
    show.rows_go_on()
    return step


def switchover(show: Show) -> Step:
    """The primary hands over, as asked."""
    old = show.cluster.the_leader(deadline_s=DEADLINE_S)
    begun_at = boot_s()
    reply = show.cluster.switchover(leader=old.name, timeout_s=DEADLINE_S)
    if reply.status != HTTPStatus.OK:
        raise DemoError(f"{old.name}: the switchover was refused: {reply.status} {reply.text}")
    show.cluster.the_leader(other_than=old.name, deadline_s=DEADLINE_S)
    return show.step("switchover", begun_at, lambda leader: f"{old.name} has handed over to {leader.name} and follows it")


def postmaster_killed(show: Show) -> Step:
    """The primary's postmaster gets SIGKILL. Its node has it up again in place."""
    old = show.cluster.the_leader(deadline_s=DEADLINE_S)
    before = old.pid("postmaster")
    begun_at = boot_s()
    old.kill("postmaster")
    show.cluster.wait_for(
        lambda: set(old.pids("postmaster")) - {before} or (show.cluster.leader() or old) is not old, "a primary again", DEADLINE_S
    )
    return show.step(
        "postmaster killed",
        begun_at,
        lambda leader: (
            f"{leader.name} was started again in place"
            if leader is old
            else f"{old.name} did not come back in time, {leader.name} took over"
        ),
    )


def node_killed(show: Show) -> Step:
    """Every process of the primary's node gets SIGKILL at one moment: its machine is lost. Another takes over."""
    old = show.cluster.the_leader(deadline_s=DEADLINE_S)
    begun_at = boot_s()
    old.kill("everything")
    show.crash(old, begun_at)
    show.cluster.the_leader(other_than=old.name, deadline_s=DEADLINE_S)
    return show.step("node killed", begun_at, lambda leader: f"{old.name} is gone, {leader.name} took over")


def node_returned(show: Show) -> Step:
    """The lost node comes back, and follows."""
    node, show.down = show.down, None
    if node is None:
        raise DemoError("no node is down that could return")
    read_from = node.log.stat().st_size
    begun_at = boot_s()
    node.start()
    return show.step(
        "node returned", begun_at, lambda leader: f"{node.name} {_way_back(node.log, read_from)} and streams from {leader.name}"
    )


ACTS: Final[tuple[Callable[[Show], Step], ...]] = (bootstrap, switchover, postmaster_killed, node_killed, node_returned)


def _names(show: Show, leader: ClusterNode) -> str:
    return " and ".join(node.name for node in show.cluster.others(leader))


def _way_back(log: Path, read_from: int) -> str:
    """What the node had to do to its data directory, as its log says."""
    with log.open("rb") as file:
        file.seek(read_from)
        text = file.read().decode(errors="replace")
    if "job=create_replica" in text:
        return "was copied anew"
    return "was rewound" if "job=rewind" in text else "had nothing that others lack"
