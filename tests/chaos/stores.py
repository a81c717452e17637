"""The stores of whole clusters, looked at and harmed from outside: never through a plugin or an agent."""

import base64
import contextlib
import json
import sqlite3
import threading
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hacore.testing.etcd import Answer, Etcd, EtcdMember
from hacore.testing.faults.proxy import Fault, TcpProxy, all_suffering

SCOPE = "demo"
PREFIX = f"/service/{SCOPE}/"
POLL_S = 0.02


class StoreAtWork(ABC):
    """One real store that a cluster uses. Used as a block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def section(self, name: str) -> Mapping[str, Any]:
        """The section of a node's configuration."""

    @abstractmethod
    def records(self) -> dict[str, str]:
        """Every record of the cluster by its name; the lock as ``leader``."""

    @abstractmethod
    def delete(self, name: str | None = None) -> None:
        """Delete one record or, without a name, all of them, lock included."""

    @abstractmethod
    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        """Call ``seen`` with the own record soon after each change of it, until told to stop."""

    @abstractmethod
    def outage(self) -> AbstractContextManager[None]:
        """Nobody can write to it while the block lasts; it keeps what it has."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def own(self) -> dict[str, Any]:
        """The own record; empty when there is none."""
        return dict(json.loads(self.records().get("hacore", "{}")))


class ServersAtWork(StoreAtWork):
    """A store of one or several servers, each node behind proxies of its own where it is to be cut off."""

    def __init__(self, *, proxies: bool) -> None:
        self.proxies: dict[str, list[TcpProxy]] = {}  # of each node, one before each server
        self.is_proxied = proxies

    def hosts(self, name: str, ports: Iterable[int]) -> list[str]:
        """The servers, which listen on these ports, as a node is to know them."""
        if not self.is_proxied:
            return [f"127.0.0.1:{port}" for port in ports]
        if name not in self.proxies:
            self.proxies[name] = [TcpProxy(("127.0.0.1", port)) for port in ports]
        return [proxy.endpoint for proxy in self.proxies[name]]

    def suffering(self, fault: Fault, *names: str) -> AbstractContextManager[None]:
        """Put a fault on all ways of these nodes to the store."""
        return all_suffering([proxy for name in names for proxy in self.proxies[name]], fault)

    def close(self) -> None:
        for proxy in [proxy for proxies in self.proxies.values() for proxy in proxies]:
            proxy.close()

    @abstractmethod
    def lose_leader(self) -> None:
        """Kill the server that leads the others."""

    @abstractmethod
    def lose_majority(self) -> None:
        """Kill all servers but one."""

    @abstractmethod
    def bring_back(self) -> None:
        """Start every server that was killed."""


class SqliteAtWork(StoreAtWork):
    """A file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "store.db"

    def section(self, name: str) -> Mapping[str, Any]:
        return {"sqlite": {"path": str(self.path)}}

    def records(self) -> dict[str, str]:
        with self.opened() as connection:
            found = dict(connection.execute("SELECT name, value FROM record").fetchall())
            lock = connection.execute("SELECT holder FROM lock").fetchone()
        return found if lock is None else {**found, "leader": lock[0]}

    def delete(self, name: str | None = None) -> None:
        with self.opened() as connection:
            if name in {None, "leader"}:
                connection.execute("DELETE FROM lock")
            if name != "leader":
                connection.execute("DELETE FROM record WHERE ? IS NULL OR name = ?", (name, name))
            connection.execute("UPDATE store SET revision = revision + 1")

    def blank_request(self) -> None:
        """Take a person's wish for a switchover back."""
        with self.opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE store SET revision = revision + 1")
            connection.execute("UPDATE record SET value = '{}', version = (SELECT max(revision) FROM store) WHERE name = 'failover'")
            connection.execute("COMMIT")

    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        known: str | None = None
        with self.opened() as connection:
            while not stop.wait(POLL_S):
                found = connection.execute("SELECT value FROM record WHERE name = 'hacore'").fetchone()
                if found is not None and found[0] != known:
                    known = found[0]
                    seen(found[0])

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        with self.opened() as forgotten:
            forgotten.execute("BEGIN IMMEDIATE")
            yield

    def close(self) -> None:
        """Nothing runs."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """A connection of another program; what it writes is committed at the end of the block."""
        connection = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            yield connection
        finally:
            connection.close()


class EtcdAtWork(ServersAtWork):
    """An etcd of one or three members."""

    def __init__(self, directory: Path, *, size: int = 1, proxies: bool = False) -> None:
        super().__init__(proxies=proxies)
        self.etcd = Etcd(directory, size=size)

    def __enter__(self) -> Self:
        self.etcd.__enter__()
        return self

    def section(self, name: str) -> Mapping[str, Any]:
        hosts = self.hosts(name, [member.client_port for member in self.etcd.members])
        return {"etcd3": {"hosts": hosts, "use_proxies": self.is_proxied}}

    def records(self) -> dict[str, str]:
        found = self._ask("kv/range", {"key": _coded(PREFIX), "range_end": _coded(PREFIX[:-1] + "0")})
        pairs = [(_plain(one["key"]), _plain(one.get("value", ""))) for one in found.get("kvs", [])]
        return {key.removeprefix(PREFIX): value for key, value in pairs}

    def delete(self, name: str | None = None) -> None:
        if name is None:
            self._ask("kv/deleterange", {"key": _coded(PREFIX), "range_end": _coded(PREFIX[:-1] + "0")})
        else:
            self._ask("kv/deleterange", {"key": _coded(PREFIX + name)})

    def revoke_lease_of_leader(self) -> None:
        """End the lease that the leader key hangs on, before its time."""
        found = self._ask("kv/range", {"key": _coded(PREFIX + "leader")})["kvs"][0]
        self._ask("lease/revoke", {"ID": found["lease"]})

    @contextlib.contextmanager
    def keeping_lease_of_leader(self) -> Iterator[None]:
        """Keep the lease that the leader key hangs on alive, whatever becomes of its owner."""
        lease = self._ask("kv/range", {"key": _coded(PREFIX + "leader")})["kvs"][0]["lease"]
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(0.5):
                self._ask("lease/keepalive", {"ID": lease})

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        wanted = json.dumps({"create_request": {"key": _coded(PREFIX + "hacore")}}).encode()
        while not stop.wait(POLL_S):
            with contextlib.suppress(OSError, ValueError):
                request = urllib.request.Request(f"{self._living().url}/v3/watch", wanted)  # noqa: S310 - a server of ours
                with urllib.request.urlopen(request, timeout=3.0) as stream:  # noqa: S310
                    self._follow(stream, seen, stop)

    def lose_leader(self) -> None:
        self.etcd.leader().kill()

    def lose_majority(self) -> None:
        for member in self.etcd.members[1:]:
            member.kill()

    def bring_back(self) -> None:
        self.etcd.start()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        self.etcd.stop()
        yield
        self.etcd.start()

    def close(self) -> None:
        super().close()
        self.etcd.close()

    def _follow(self, stream: Any, seen: Callable[[str], None], stop: threading.Event) -> None:
        while not stop.is_set():
            line = stream.readline()
            if not line:
                return
            for event in json.loads(line).get("result", {}).get("events", []):
                if "value" in event.get("kv", {}):
                    seen(_plain(event["kv"]["value"]))

    def _ask(self, path: str, body: object) -> Answer:
        return self.etcd.ask(self._living(), path, body)

    def _living(self) -> EtcdMember:
        found = next((member for member in self.etcd.members if member.process is not None), None)
        if found is None:
            raise ConnectionError("no member of the store runs")
        return found


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
