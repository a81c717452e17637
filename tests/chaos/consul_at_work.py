"""Consul as the store of a whole cluster, looked at and harmed from outside."""

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from hacore.testing.consul import Consul
from tests.chaos.stores import PREFIX, ServersAtWork

KEYS = PREFIX.removeprefix("/")
WAIT = "1s"


class ConsulAtWork(ServersAtWork):
    """A Consul of one or three servers."""

    def __init__(self, directory: Path, *, size: int = 1, proxies: bool = False) -> None:
        super().__init__(proxies=proxies)
        self.consul = Consul(directory, size=size)

    def __enter__(self) -> Self:
        self.consul.__enter__()
        return self

    def section(self, name: str) -> Mapping[str, Any]:
        return {"consul": {"hosts": self.hosts(name, [server.ports["http"] for server in self.consul.servers])}}

    def records(self) -> dict[str, str]:
        found = self.consul.ask(f"kv/{KEYS}?recurse&consistent") or []
        return {one["Key"].removeprefix(KEYS): _plain(one["Value"]) for one in found}

    def delete(self, name: str | None = None) -> None:
        self.consul.ask(f"kv/{KEYS}?recurse" if name is None else f"kv/{KEYS}{name}", method="DELETE")

    def revoke_lease_of_leader(self) -> None:
        """End the session that the leader key ends with, before its time."""
        [leader] = self.consul.ask(f"kv/{KEYS}leader?consistent")
        self.consul.ask(f"session/destroy/{leader['Session']}", method="PUT")

    @contextlib.contextmanager
    def keeping_lease_of_leader(self) -> Iterator[None]:
        """Renew the session that the leader key ends with, whatever becomes of its owner."""
        [leader] = self.consul.ask(f"kv/{KEYS}leader?consistent")
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(0.5):
                self.consul.ask(f"session/renew/{leader['Session']}", method="PUT")

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        known: tuple[int, str] = (0, "")
        while not stop.is_set():
            with contextlib.suppress(OSError, ValueError, StopIteration):
                found = self.consul.ask(f"kv/{KEYS}hacore?index={known[0]}&wait={WAIT}") or []
                for one in found:
                    now = (one["ModifyIndex"], _plain(one["Value"]))
                    if now != known:
                        seen(now[1])
                    known = now

    def lose_leader(self) -> None:
        self.consul.leader().kill()

    def lose_majority(self) -> None:
        for server in self.consul.servers[1:]:
            server.kill()

    def bring_back(self) -> None:
        self.consul.start()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        for server in self.consul.servers:
            server.kill()
        yield
        self.consul.start()

    def close(self) -> None:
        super().close()
        self.consul.__exit__()


def _plain(value: str | None) -> str:
    return base64.b64decode(value or "").decode()
