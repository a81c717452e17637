"""The stores that both products are measured on: one class each, which says what it is asked and what it costs.

To add one: a class with the members of ``BenchStore``, and its name in ``STORES``. Requests and writes are what the server itself has
counted, never what a client says; a stream that stays open counts once, when it is opened. Where a server counts nothing of the kind, put a
proxy before it that does, and say so in docs/benchmarks.md.
"""

import base64
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import psutil

from hacore.testing.etcd import Etcd

NAMESPACE: Final = "/service/"


@dataclass(frozen=True, slots=True)
class Count:
    """What a store has been asked since it was started."""

    requests: float
    writes: float  # of these, those that ask for a change (refused ones too); what only keeps something alive is none

    def __sub__(self, before: "Count") -> "Count":
        return Count(self.requests - before.requests, self.writes - before.writes)


class BenchStore(Protocol):
    """A running store of one product's cluster."""

    @property
    def section(self) -> Mapping[str, Any]:
        """What stands in the configuration of a node, of either product."""

    def records(self, scope: str) -> dict[str, str]:
        """Every record of a cluster, by its name; the lock as ``leader``."""

    def lease(self, scope: str) -> tuple[float, float]:
        """Seconds that the lock has left, and those that it is given."""

    def count(self) -> Count:
        """What it has been asked so far. Asking this does not count."""

    def processes(self) -> list[psutil.Process]:
        """The servers."""


class EtcdStore:
    """One member. Counted: calls of gRPC that were begun (the gateway turns each request into one)."""

    WRITES = ("Put", "Txn", "DeleteRange", "LeaseGrant", "LeaseRevoke")
    _CALLS = re.compile(r'^grpc_server_started_total\{grpc_method="(\w+)".*\} (\S+)$', re.MULTILINE)

    def __init__(self, etcd: Etcd) -> None:
        self.etcd = etcd

    @property
    def section(self) -> Mapping[str, Any]:
        return {"etcd3": {"host": self.etcd.endpoints[0]}}

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
def etcd(directory: Path) -> Iterator[BenchStore]:
    with Etcd(directory) as server:
        yield EtcdStore(server)


STORES: Final[Mapping[str, Callable[[Path], contextlib.AbstractContextManager[BenchStore]]]] = {"etcd": etcd}


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
