"""What the members look like from outside, and what has changed since the last look, told in words. It does nothing to them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hacore.demo.scene import MemberRow, Mood
from hacore.errors import HacoreError
from hacore.testing.cluster import Cluster, ClusterNode

_ASK_S: Final = 2.0  # a frozen agent never answers
_OK: Final = 200
_NO_NEWS: Final = frozenset({"starts", "down", "running"})  # the last, of a standby: it streams from nobody at the moment

Troubles = Callable[[ClusterNode], str | None]
Told = tuple[str, Mood]


def look(cluster: Cluster, troubles: Troubles, *, first: str | None) -> tuple[tuple[MemberRow, ...], str | None]:
    """Ask for the cluster, first the node that answered last, and last those that are in trouble. Answers the rows, and who answered."""
    nodes = sorted(cluster.nodes.values(), key=lambda node: (troubles(node) is not None, node.name != first))
    members, answered = _ask(nodes)
    return tuple(_row(node, members.get(node.name, {}), troubles(node)) for node in cluster.nodes.values()), answered


def _ask(nodes: Iterable[ClusterNode]) -> tuple[Mapping[str, Mapping[str, Any]], str | None]:
    for node in nodes:
        try:
            reply = node.rest("/cluster", timeout_s=_ASK_S)
            if reply.status == _OK:
                return {member["name"]: member for member in reply.document["members"]}, node.name
        except (OSError, ValueError, HacoreError):
            continue  # the next may know
    return {}, None


def _row(node: ClusterNode, member: Mapping[str, Any], trouble: str | None) -> MemberRow:
    lag = member.get("lag")
    role = {"leader": "leader", "replica": "standby"}.get(member.get("role", ""), "")
    return MemberRow(
        name=node.name,
        role=role,
        state=member.get("state") or ("starts" if node.process is not None else "down"),
        timeline=member.get("timeline"),
        lag_bytes=lag if isinstance(lag, int) else None,
        trouble=trouble,
    )


class Changes:
    """What is new since the last look."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._leader: str | None = None
        self._timeline = 0

    def told(self, rows: tuple[MemberRow, ...]) -> Iterator[Told]:
        """Say it in words; what we did to a node ourselves is not told again."""
        for row in rows:
            was, self._states[row.name] = self._states.get(row.name), row.state
            if row.trouble is not None:
                continue
            if row.leads and row.state == "running":
                yield from self._lead(row, was)
            elif was != row.state and row.state not in _NO_NEWS and not (row.state == "crashed" and was == "creating replica"):
                yield f"{row.name}: {row.state}", Mood.PLAIN

    def _lead(self, row: MemberRow, was: str | None) -> Iterator[Told]:
        timeline = row.timeline or 0
        if row.name == self._leader and was == row.state and timeline == self._timeline:
            return
        if row.name != self._leader and timeline <= self._timeline:
            return  # it has not yet said on which: a new leader has a new one
        self._leader, self._timeline = row.name, timeline
        yield f"{row.name} leads on timeline {timeline}", Mood.GOOD


def is_stopped(pid: int) -> bool:
    """Whether a process stands still by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
