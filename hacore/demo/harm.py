"""What a person may do to the primary in the live demonstration. It knows how, not what becomes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from hacore.demo.place import DemoError
from hacore.testing.cluster import Cluster, ClusterNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """One thing that can be done, with words that follow the name of the node."""

    doing: str
    done: str
    do: Callable[[Cluster, ClusterNode], object]
    is_planned: bool = False  # nothing may be lost by it
    freezes: bool = False  # the agent


def _switch_over(cluster: Cluster, node: ClusterNode) -> None:
    reply = cluster.switchover(leader=node.name)
    if reply.status != HTTPStatus.OK:
        raise DemoError(f"refused: {reply.text}")


HARMS: Final[Mapping[str, Harm]] = MappingProxyType(
    {
        "k": Harm(
            doing="SIGKILL to every process of its node",
            done="node killed",
            do=lambda _, node: node.kill("everything"),
        ),
        "p": Harm(
            doing="SIGKILL to its postmaster",
            done="postmaster killed",
            do=lambda _, node: node.kill("postmaster"),
        ),
        "f": Harm(
            doing="SIGSTOP to its agent: the fence will end its writes in time",
            done="agent frozen",
            do=lambda _, node: node.stop("agent"),
            freezes=True,
        ),
        "s": Harm(
            doing="is asked to hand over",
            done="switchover",
            do=_switch_over,
            is_planned=True,
        ),
    }
)
