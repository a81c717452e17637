"""A whole cluster on this machine, each node with its real processes, for tests, the demonstration and the benchmarks.

    with Cluster(directory, store=sqlite_store(directory)) as cluster:
        cluster.wait_ready()
        cluster.switchover()

At the end of the block nothing of it runs any more, whatever happened in it; directories and logs stay, they are the caller's. It imports
no test framework, and judges nothing: see :mod:`hacore.testing.history`.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from hacore.testing.cluster_node import ClusterNode, Reply
from hacore.testing.etcd import Etcd
from hacore.testing.node_processes import ClusterError, Part
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.waiting import PAUSE_S, SETTLING_S, wait_for

__all__ = ["Cluster", "ClusterError", "ClusterNode", "Part", "Reply", "Store", "etcd_store", "sqlite_store"]

Settings = Mapping[str, Any]
Store = Callable[[str], Settings]  # the store's section, for a node of this name
T = TypeVar("T")

READY_S: Final = 90.0
_COMMAND_S: Final = 90.0
FAST: Final[Settings] = {"hacore": {"ttl": 5, "loop_wait": 1, "retry_timeout": 1}}  # for tests: the shortest that hacore takes
PASSWORD: Final = "secret"  # noqa: S105 - of servers on loopback that live for a test
PARAMETERS: Final[Settings] = {  # no machine is lost here, only processes, and what they leave lies in their directories
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": 60,
    "dynamic_shared_memory_type": "mmap",
}


def sqlite_store(directory: Path) -> Store:
    """The embedded store in a file in this directory."""
    path = str(directory / "store.db")
    return lambda _: {"sqlite": {"path": path}}


def etcd_store(etcd: Etcd) -> Store:
    """An etcd, all members of which every node knows."""
    return lambda _: {"etcd3": {"hosts": list(etcd.endpoints)}}


class Cluster:
    """Nodes of one scope. Entering the block starts all of them, unless they are to be started one by one.

    :param directory: an existing directory of the unprivileged user, with a short path: sockets stand in it.
    :param store: makes the store's section for a node, or is that section.
    :param nodes: how many, or their names.
    :param dynamic: ``bootstrap.dcs``, merged over what makes a cluster fast enough for tests.
    :param local: further settings for nodes of these names, merged over what is generated; ``"*"`` is for all.
    :param hosts: the addresses of nodes that are not on 127.0.0.1.
    :param launchers: for nodes of these names, words before the command of their main process (:class:`NodeProcesses`).
    :param server: the kind of PostgreSQL (:mod:`hacore.testing.servers`), or the directory of its programs.
    :param start: ``False``: the caller starts the nodes.
    """

    def __init__(  # noqa: PLR0913 - each is a wish of its own, and all but two have a default
        self,
        directory: Path,
        *,
        store: Store | Settings,
        nodes: int | Iterable[str] = 3,
        dynamic: Settings | None = None,
        local: Mapping[str, Settings] | None = None,
        hosts: Mapping[str, str] | None = None,
        launchers: Mapping[str, tuple[str, ...]] | None = None,
        server: str | Path = "postgresql",
        scope: str = "demo",
        start: bool = True,
    ) -> None:
        self.directory = directory
        self.scope = scope
        self._store = store
        self._dynamic = merged({**FAST, "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS}}, dynamic or {})
        self._local = dict(local or {})
        self._hosts, self._launchers = dict(hosts or {}), dict(launchers or {})
        self._server = server
        self._ports = Ports()
        self._starts = start
        self.nodes: dict[str, ClusterNode] = {}
        for name in [f"n{number}" for number in range(1, nodes + 1)] if isinstance(nodes, int) else nodes:
            self.add(name)

    def __enter__(self) -> Self:
        try:
            if self._starts:
                self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            error.add_note(f"logs of the nodes: {', '.join(str(node.log) for node in self.nodes.values())}")
        self.close()

    def __getitem__(self, name: str) -> ClusterNode:
        return self.nodes[name]

    # ---------------------------------------------------------------------------------------------- life
    def add(self, name: str) -> ClusterNode:
        """Make one more node and write its configuration; it is not started."""
        pg_port, rest_port = self._ports.take(), self._ports.take()
        settings = merged(self._generated(name, pg_port, rest_port), self._local.get("*", {}), self._local.get(name, {}))
        node = ClusterNode(
            name=name,
            directory=self.directory,
            settings=settings,
            pg_port=pg_port,
            rest_port=rest_port,
            password=PASSWORD,
            host=self._host(name),
            launcher=self._launchers.get(name, ()),
        )
        node.write()
        self.nodes[name] = node
        return node

    def start(self) -> None:
        """Start every node, all at once."""
        for node in self.nodes.values():
            node.start()

    def close(self) -> None:
        """End whatever still runs, at once, and give the ports back.

        :raises TimeoutError: something cannot be killed.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._ports.close)
            for node in self.nodes.values():
                stack.callback(node.destroy)

    # ------------------------------------------------------------------------------------------- looking
    @property
    def dsns(self) -> dict[str, str]:
        """A connection string for each node, as :class:`hacore.testing.history.WriteLoad` wants them."""
        return {name: node.dsn for name, node in self.nodes.items()}

    def leader(self) -> ClusterNode | None:
        """The node that answers 200 on ``/primary`` now."""
        return next((node for node in self.nodes.values() if node.is_ok("/primary")), None)

    def the_leader(self, *, other_than: str | None = None, deadline_s: float = READY_S) -> ClusterNode:
        """The leader, waited for."""
        found = self.wait_for(
            lambda: (node := self.leader()) and node.name != other_than and node, f"a leader other than {other_than}", deadline_s
        )
        assert isinstance(found, ClusterNode)
        return found

    def others(self, node: ClusterNode) -> list[ClusterNode]:
        """All nodes but this one."""
        return [other for other in self.nodes.values() if other is not node]

    def members(self) -> dict[str, dict[str, Any]]:
        """What ``/cluster`` of the first node that answers shows, by name; empty when none answers."""
        for node in self.nodes.values():
            with contextlib.suppress(OSError, ValueError):
                reply = node.rest("/cluster")
                if reply.status == 200:
                    return {member["name"]: member for member in reply.document["members"]}
        return {}

    def wait_for(self, condition: Callable[[], T | None], what: str, deadline_s: float = READY_S, *, pause_s: float = PAUSE_S) -> T:
        """Ask until the answer is true; a :class:`TimeoutError` tells what the cluster looked like."""
        try:
            return wait_for(condition, what, deadline_s=deadline_s, pause_s=pause_s)
        except TimeoutError as late:
            late.add_note(f"members at the end: {self.members()}")
            raise

    def wait_ready(self, nodes: Iterable[ClusterNode] | None = None, *, deadline_s: float = READY_S) -> ClusterNode:
        """Wait until one of the nodes (all, unless named) leads and the others stream on its timeline. Answers the leader."""
        wanted = {node.name for node in (self.nodes.values() if nodes is None else nodes)}
        what = f"{', '.join(sorted(wanted))}: one leads, the others stream"
        return self.wait_for(lambda: self._ready(wanted), what, deadline_s, pause_s=SETTLING_S)

    def _ready(self, wanted: set[str]) -> ClusterNode | None:
        for node in self.nodes.values():
            if node.name in wanted and node.process is not None and node.process.poll():
                raise ClusterError(f"{node.name}: ended with exit code {node.process.returncode}, see {node.log}")
        leader = self.leader()
        if leader is None or leader.name not in wanted:
            return None
        members = {name: member for name, member in self.members().items() if name in wanted}
        standbys = [member for name, member in members.items() if name != leader.name]
        timeline = members.get(leader.name, {}).get("timeline")
        is_whole = len(members) == len(wanted) and timeline is not None
        if is_whole and all(member["state"] == "streaming" and member.get("timeline") == timeline for member in standbys):
            return leader
        return None

    # ----------------------------------------------------------------------------------------- commanding
    def switchover(self, *, leader: str | None = None, candidate: str | None = None, timeout_s: float = _COMMAND_S) -> Reply:
        """Ask for a switchover from the leader, and wait for the answer."""
        name = leader or self.the_leader().name
        body = {"leader": name, **({"candidate": candidate} if candidate else {})}
        return self.nodes[name].rest("/switchover", method="POST", body=body, timeout_s=timeout_s)

    def configure(self, **changes: object) -> Reply:
        """Change the dynamic configuration."""
        return self._somebody().rest("/config", method="PATCH", body=changes)

    def _somebody(self) -> ClusterNode:
        return self.wait_for(lambda: next((node for node in self.nodes.values() if node.is_ok("/liveness")), None), "a node that answers")

    # ------------------------------------------------------------------------------------------- settings
    def _host(self, name: str) -> str:
        return self._hosts.get(name, "127.0.0.1")

    def _generated(self, name: str, pg_port: int, rest_port: int) -> dict[str, Any]:
        host = self._host(name)
        rest, database = f"{host}:{rest_port}", f"{host}:{pg_port}"
        networks = sorted({"127.0.0.1/32"} | {f"{one}/32" for one in self._hosts.values()})
        store = self._store(name) if callable(self._store) else self._store
        return {
            "scope": self.scope,
            "name": name,
            **store,
            "restapi": {"listen": rest, "connect_address": rest},
            "bootstrap": {
                "dcs": self._dynamic,
                "initdb": ["data-checksums", {"auth-local": "trust"}, {"auth-host": "scram-sha-256"}],
                "pg_hba": [
                    "local all all trust",
                    *(f"host {what} all {network} scram-sha-256" for network in networks for what in ("all", "replication")),
                ],
            },
            "postgresql": {
                "listen": database,
                "connect_address": database,
                "data_dir": str(self.directory / name),
                "bin_dir": str(self._server if isinstance(self._server, Path) else locate(self._server).directory),
                "pgpass": str(self.directory / f"{name}.pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": PASSWORD},
                    "replication": {"username": "replicator", "password": PASSWORD},
                },
                "parameters": {"unix_socket_directories": str(self.directory)},
            },
        }


def merged(first: Settings, *others: Settings) -> dict[str, Any]:
    """Settings over settings: sections are merged, anything else of a later one wins."""
    result = {key: merged(value) if isinstance(value, Mapping) else value for key, value in first.items()}
    for other in others:
        for key, value in other.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
