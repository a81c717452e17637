"""ZooKeeper, as whole clusters use it: looked at and harmed from outside, by kazoo as everybody else uses it."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError

from hacore.testing.zookeeper import ZooKeeper
from tests.chaos.stores import PREFIX, ServersAtWork

TRIES = 50


class ZookeeperAtWork(ServersAtWork):
    """A ZooKeeper of one or three servers."""

    def __init__(self, directory: Path, *, size: int = 1, proxies: bool = False) -> None:
        super().__init__(proxies=proxies)
        self.zookeeper = ZooKeeper(directory, size=size)

    def __enter__(self) -> Self:
        self.zookeeper.__enter__()
        return self

    def section(self, name: str) -> Mapping[str, Any]:
        return {"zookeeper": {"hosts": self.hosts(name, [server.client_port for server in self.zookeeper.members])}}

    def records(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with self.asked() as client:
            for path in _paths(client, PREFIX.rstrip("/")):
                with contextlib.suppress(NoNodeError):
                    data, stat = client.get(path)
                    found |= {path.removeprefix(PREFIX): data.decode()} if data or not stat.cversion else {}
        return {name: value for name, value in found.items() if not name.startswith(("/", "hacore."))}

    def delete(self, name: str | None = None) -> None:
        with self.asked() as client:
            if name is not None:
                with contextlib.suppress(NoNodeError):
                    client.delete(PREFIX + name)
                return
            for _ in range(TRIES):  # at one moment: again when somebody has made another node meanwhile
                if _delete_at_once(client, [*_paths(client, PREFIX.rstrip("/"))]):
                    return
        raise AssertionError(f"the nodes of the cluster were not deleted in {TRIES} tries")

    def end_session_of_leader(self) -> None:
        """Delete all that hangs on the session of the leader, as the end of the session would, before its time."""
        with self.asked() as client:
            session = client.exists(f"{PREFIX}leader").ephemeralOwner
            paths = [path for path in _paths(client, PREFIX.rstrip("/")) if client.exists(path).ephemeralOwner == session]
            assert _delete_at_once(client, paths)

    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, KazooException, KazooClient().handler.timeout_exception), self.asked() as client:
                self._follow(client, seen, stop)

    def lose_leader(self) -> None:
        self.zookeeper.leader().kill()

    def lose_majority(self) -> None:
        for server in self.zookeeper.members[1:]:
            server.kill()

    def bring_back(self) -> None:
        self.zookeeper.start()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        self.zookeeper.kill()
        yield
        self.zookeeper.start()

    def close(self) -> None:
        super().close()
        self.zookeeper.close()

    @contextlib.contextmanager
    def asked(self) -> Iterator[KazooClient]:
        """A connection of another program."""
        living = [member.endpoint for member in self.zookeeper.members if member.process is not None]
        client = KazooClient(hosts=",".join(living or self.zookeeper.endpoints))
        try:
            client.start(timeout=5.0)
            yield client
        finally:
            client.stop()
            client.close()

    @staticmethod
    def _follow(client: KazooClient, seen: Callable[[str], None], stop: threading.Event) -> None:
        changed = threading.Event()
        while not stop.is_set():
            changed.clear()
            with contextlib.suppress(NoNodeError):
                data, _ = client.get(f"{PREFIX}hacore", watch=lambda _: changed.set())
                seen(data.decode())
            changed.wait(0.5)


def _paths(client: KazooClient, path: str) -> Iterator[str]:
    """A node and all below it, the lowest first."""
    with contextlib.suppress(NoNodeError):
        for child in client.get_children(path):
            yield from _paths(client, f"{path}/{child}")
    yield path


def _delete_at_once(client: KazooClient, paths: list[str]) -> bool:
    transaction = client.transaction()
    for path in paths:
        transaction.delete(path)
    return not any(isinstance(result, KazooException) for result in transaction.commit())
