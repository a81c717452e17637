"""ZooKeeper."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from bench.stores.protocol import NAMESPACE, BenchStore, Count
from hacore.testing.zookeeper import ZooKeeper

ASK_S = 5.0


class ZookeeperStore:
    """One server. Counted: packets received, the pings of clients among them; writes: transactions, sessions begun and ended among them."""

    _RECEIVED = re.compile(r"^Received: (\d+)$", re.MULTILINE)
    _ZXID = re.compile(r"^Zxid: 0x([0-9a-f]+)$", re.MULTILINE)
    _EXPIRING = re.compile(r"^\d+ expire at \w+ (\w+ \d+ [\d:]+) \w+ (\d+):$")
    _TIMEOUT = re.compile(r"sid=(0x[0-9a-f]+),.*?\bto=(\d+)")

    def __init__(self, zookeeper: ZooKeeper) -> None:
        self.server = zookeeper.members[0]
        self._commands = 0

    @property
    def section(self) -> Mapping[str, Any]:
        return {"zookeeper": {"hosts": [self.server.endpoint]}}

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    def records(self, scope: str) -> dict[str, str]:
        with self._client() as client:
            return dict(_records(client, f"{NAMESPACE}{scope}", ""))

    def lease(self, scope: str) -> tuple[float, float]:
        with self._client() as client:
            leader = client.exists(f"{NAMESPACE}{scope}/leader")
        if leader is None:
            return 0.0, 0.0
        session = hex(leader.ephemeralOwner)
        given = {found: int(ms) / 1000 for found, ms in self._TIMEOUT.findall(self._ask("cons"))}
        return self._left(session), given.get(session, 0.0)

    def count(self) -> Count:
        text = self._ask("srvr")
        [received], [transactions] = self._RECEIVED.findall(text), self._ZXID.findall(text)
        return Count(int(received) - self._commands, int(transactions, 16))

    def processes(self) -> list[psutil.Process]:
        return [] if self.server.process is None else [psutil.Process(self.server.process.pid)]

    def _left(self, session: str) -> float:
        """Seconds until the server ends a session, as it says itself: to the second."""
        ends_at = 0.0
        for line in self._ask("dump").splitlines():
            if found := self._EXPIRING.match(line):
                ends_at = datetime.strptime(" ".join(found.groups()), "%b %d %H:%M:%S %Y").astimezone().timestamp()
            elif line.strip() == session:
                return max(0.0, ends_at - time.time())
        return 0.0

    def _ask(self, command: str) -> str:
        self._commands += 1  # each is a packet, too
        return self.server.ask(command)

    @contextlib.contextmanager
    def _client(self) -> Iterator[KazooClient]:
        client = KazooClient(hosts=self.server.endpoint)
        try:
            client.start(timeout=ASK_S)
            yield client
        finally:
            client.stop()
            client.close()


def _records(client: KazooClient, root: str, name: str) -> Iterator[tuple[str, str]]:
    """Every node below the root with something in it, by its path from there."""
    path = f"{root}/{name}" if name else root
    with contextlib.suppress(NoNodeError):
        data, _ = client.get(path)
        if name and data:
            yield name, data.decode()
        for child in client.get_children(path):
            yield from _records(client, root, f"{name}/{child}" if name else child)


@contextlib.contextmanager
def zookeeper(directory: Path, _: str) -> Iterator[BenchStore]:
    with ZooKeeper(directory) as server:
        yield ZookeeperStore(server)
