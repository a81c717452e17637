"""One product's cluster of three nodes on a store of its own, and what can be done to it and read from it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.stores import NAMES, STORES, BenchStore
from hacore.testing.history import WriteLoad
from hacore.testing.mixed import MixedCluster, MixedNode, Product, wait_for

WHOLE_S = 180.0


class Side:
    """A running cluster of one product."""

    def __init__(self, product: Product, cluster: MixedCluster, store: BenchStore) -> None:
        self.product = product
        self.cluster = cluster
        self.store = store

    def wait_whole(self) -> None:
        self.cluster.wait_whole(timeout_s=WHOLE_S)

    @property
    def leader(self) -> MixedNode:
        return self.cluster[self.cluster.leader() or ""]

    def load(self) -> WriteLoad:
        return WriteLoad({name: node.dsn for name, node in self.cluster.nodes.items()}).start()

    def configure(self, change: Mapping[str, Any]) -> None:
        """Change the dynamic configuration, and wait until it is in force."""
        status, text = self.leader.ask("PATCH", "/config", dict(change))
        assert status == 200, text
        time.sleep(self.lease()[1] / 2)  # a turn of everybody, also with the old settings

    def reload(self, sections: Mapping[str, Any]) -> None:
        """Give every node these further sections of its configuration file, instead of those that it had."""
        for node in self.cluster.nodes.values():
            node.local = sections
            node.write()
            status, text = node.ask("POST", "/reload")
            assert status in {200, 202}, text

    def lease(self) -> tuple[float, float]:
        """Seconds that the lock has left, and those that it is given."""
        return self.store.lease(self.cluster.scope)

    def wait_for_renewal(self) -> None:
        """Wait until the leader has just renewed its lease."""
        last = [self.lease()[0]]

        def has_grown() -> bool:
            left = self.lease()[0]
            grew = left > last[0]
            last[0] = left
            return grew

        wait_for(has_grown, f"{self.product.value} to renew its lease", 60.0)

    def settled_after(self, leader: MixedNode) -> Callable[[], bool]:
        """Say when a cluster whose leader was struck has settled: another leads, or the lease has been renewed for long again."""
        until = time.monotonic() + 2 * self.lease()[1]

        def is_settled() -> bool:
            others = (node for node in self.cluster.nodes.values() if node is not leader)
            return any(node.is_up("/primary") for node in others) or (time.monotonic() > until and leader.is_up("/primary"))

        return is_settled

    def restart_missing(self) -> None:
        """Start the agent of every node that has none."""
        for node in self.cluster.nodes.values():
            if node.agent is not None and node.agent.poll() is not None:
                node.agent = None
            if node.agent is None:
                node.start(self.product)


def managers(node: MixedNode) -> list[psutil.Process]:
    """The processes of a node that are there for good and are not PostgreSQL's."""
    return [process for process in node.processes() if name_of(process).startswith(("python", "patroni", "hacore"))]


def agent_of(node: MixedNode) -> psutil.Process:
    """The process that talks to the store."""
    if node.product is Product.PATRONI:
        assert node.agent is not None
        return psutil.Process(node.agent.pid)
    return next(process for process in managers(node) if "hacore.daemon.agent" in process.cmdline())


def name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def kill(processes: list[psutil.Process]) -> None:
    """End these, one right after the other, so that none sees the end of another."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # one that ended with another
            os.kill(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def side(product: Product, directory: Path, dynamic: Mapping[str, Any], kind: str) -> Iterator[Side]:
    """A whole cluster for the time of the block, on a store of this kind."""
    place = directory / product.value
    place.mkdir()
    os.chown(place, *owner(directory))
    scope = product.value
    with (
        STORES[kind](place, scope) as store,
        MixedCluster(place, NAMES, dynamic=dynamic, scope=scope, store=store, environment=store.environment) as cluster,
    ):
        cluster.start(dict.fromkeys(NAMES, product), timeout_s=WHOLE_S)
        yield Side(product, cluster, store)


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid
