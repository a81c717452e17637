"""Consul."""

import base64
import contextlib
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.stores.protocol import NAMESPACE, BenchStore, Count
from hacore.testing.consul import Consul

ASK_S = 5.0
PREFIX = NAMESPACE.removeprefix("/")
SETTINGS = {"telemetry": {"prometheus_retention_time": "24h", "disable_hostname": True}}  # counts what it is asked, and forgets nothing


class ConsulStore:
    """One server. Counted: requests that were answered, so that a question that waits for a change counts at each answer.

    Writes: of keys, sessions begun and ended, transactions with a change among them, as the server has taken them from the API.
    """

    WRITES = ("kvs", "txn", "session")
    OURS = ("v1_agent_", "v1_status_")
    _REQUESTS = re.compile(r'^consul_api_http_count\{method="\w+",path="(\w*)"\} (\S+)$', re.MULTILINE)
    _WRITES = re.compile(r"^consul_(\w+)_apply_count (\S+)$", re.MULTILINE)

    def __init__(self, consul: Consul) -> None:
        self.consul = consul
        self._renewals: Renewals | None = None

    @property
    def section(self) -> Mapping[str, Any]:
        return {"consul": {"host": self.consul.servers[0].endpoint}}

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    def records(self, scope: str) -> dict[str, str]:
        prefix = f"{PREFIX}{scope}/"
        found = self.consul.ask(f"kv/{prefix}?recurse&consistent") or []
        return {one["Key"].removeprefix(prefix): base64.b64decode(one["Value"] or "").decode() for one in found}

    def lease(self, scope: str) -> tuple[float, float]:
        if self._renewals is None:
            self._renewals = Renewals(self.consul.servers[0].url)
        for key in self.consul.ask(f"kv/{PREFIX}{scope}/leader?consistent") or []:
            for session in self.consul.ask(f"session/info/{key.get('Session')}") or []:
                given = 2 * float(session["TTL"].removesuffix("s"))  # a session is ended twice its ttl after its last renewal
                return max(0.0, self._renewals.at(session["ID"]) + given - time.monotonic()), given
        return 0.0, 0.0

    def count(self) -> Count:
        request = f"{self.consul.servers[0].url}/v1/agent/metrics?format=prometheus"
        with urllib.request.urlopen(request, timeout=ASK_S) as answer:  # noqa: S310 - a server of ours
            text = answer.read().decode()
        requests = sum(float(number) for path, number in self._REQUESTS.findall(text) if not path.startswith(self.OURS))
        return Count(requests, sum(float(number) for name, number in self._WRITES.findall(text) if name in self.WRITES))

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(server.process.pid) for server in self.consul.servers if server.process is not None]


class Renewals:
    """When each session was renewed last, as the log of a server tells while somebody listens: Consul shows it nowhere else."""

    _LINE = re.compile(r"/v1/session/renew/([0-9a-f-]+)")

    def __init__(self, url: str) -> None:
        self._seen: dict[str, float] = {}
        threading.Thread(target=self._listen, args=(f"{url}/v1/agent/monitor?loglevel=debug",), daemon=True).start()

    def at(self, session: str) -> float:
        """On the monotonic clock; long ago for one that was not renewed since we listen."""
        return self._seen.get(session, float("-inf"))

    def _listen(self, url: str) -> None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url) as lines:  # noqa: S310 - ends with the server
            for line in lines:
                if found := self._LINE.search(line.decode(errors="replace")):
                    self._seen[found.group(1)] = time.monotonic()


@contextlib.contextmanager
def consul(directory: Path, _: str) -> Iterator[BenchStore]:
    with Consul(directory, settings=SETTINGS) as server:
        yield ConsulStore(server)
