"""etcd."""

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.stores.protocol import NAMESPACE, BenchStore, Count
from hacore.testing.etcd import Etcd


class EtcdStore:
    """One member. Counted: calls of gRPC that were begun (the gateway turns each request into one)."""

    WRITES = ("Put", "Txn", "DeleteRange", "LeaseGrant", "LeaseRevoke")
    _CALLS = re.compile(r'^grpc_server_started_total\{grpc_method="(\w+)".*\} (\S+)$', re.MULTILINE)

    def __init__(self, etcd: Etcd) -> None:
        self.etcd = etcd

    @property
    def section(self) -> Mapping[str, Any]:
        return {"etcd3": {"host": self.etcd.endpoints[0]}}

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    def records(self, scope: str) -> dict[str, str]:
        prefix = f"{NAMESPACE}{scope}/"
        found = self._ask("kv/range", {"key": _coded(prefix), "range_end": _coded(prefix[:-1] + "0")}).get("kvs", [])
        pairs = ((_plain(one["key"]), _plain(one.get("value", ""))) for one in found)
        return {key.removeprefix(prefix): value for key, value in pairs}

    def lease(self, scope: str) -> tuple[float, float]:
        found = self._ask("kv/range", {"key": _coded(f"{NAMESPACE}{scope}/leader")}).get("kvs", [])
        if not found:
            return 0.0, 0.0
        state = self._ask("lease/timetolive", {"ID": found[0].get("lease", "0")})
        return float(state.get("TTL", 0)), float(state.get("grantedTTL", 0))

    def count(self) -> Count:
        calls = {name: float(number) for name, number in self._CALLS.findall(self.etcd.metrics(self.etcd.members[0]))}
        return Count(sum(calls.values()), sum(calls.get(name, 0.0) for name in self.WRITES))

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(member.process.pid) for member in self.etcd.members if member.process is not None]

    def _ask(self, path: str, body: object) -> dict[str, Any]:
        return self.etcd.ask(self.etcd.members[0], path, body)


@contextlib.contextmanager
def etcd(directory: Path, _: str) -> Iterator[BenchStore]:
    with Etcd(directory) as server:
        yield EtcdStore(server)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
