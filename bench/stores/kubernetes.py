"""Kubernetes: an API server on an etcd of its own. The pods are plain objects; nothing runs in them."""

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench.stores.protocol import NAMES, BenchStore, Count
from hacore.testing.kubernetes import Kubernetes
from hacore.testing.kubernetes_api import KubernetesError

NAMESPACE = "databases"
APPLICATION = "bench"
OBJECTS = ("leader", "config", "failover", "sync")


class KubernetesStore:
    """Counted: requests for objects of the kinds that a cluster may use, by any client; a watch is one, when it ends.

    The API server renews a Lease of its own by PUT each ten seconds. Neither product has one here, so these are left out.
    """

    WRITES = ("POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION")
    KINDS = ("configmaps", "endpoints", "endpointslices", "leases", "pods")
    _REQUESTS = re.compile(r'^apiserver_request_total\{.*,resource="(\w+)".*verb="(\w+)".*\} (\S+)$', re.MULTILINE)

    def __init__(self, kubernetes: Kubernetes, kubeconfig: Path) -> None:
        self.kubernetes = kubernetes
        self._kubeconfig = kubeconfig

    @property
    def section(self) -> Mapping[str, Any]:
        return {"kubernetes": {"namespace": NAMESPACE, "labels": {"application": APPLICATION}, "context": "tests"}}

    @property
    def environment(self) -> Mapping[str, str]:
        return {"KUBECONFIG": str(self._kubeconfig)}

    def records(self, scope: str) -> dict[str, str]:
        leader, config, failover, sync = (self._annotations("ConfigMap", f"{scope}-{kind}") for kind in OBJECTS)
        together = {name: json.dumps(parts) for name, parts in (("failover", failover), ("sync", sync)) if parts}
        members = {f"members/{name}": self._annotations("Pod", name).get("status", "") for name in NAMES}
        return {**leader, **config, **together, **{name: status for name, status in members.items() if status}}

    def lease(self, scope: str) -> tuple[float, float]:
        lock = self._annotations("ConfigMap", f"{scope}-leader")
        if not lock.get("leader"):
            return 0.0, 0.0
        ttl = float(lock["ttl"])
        return max(0.0, datetime.fromisoformat(lock["renewTime"]).timestamp() + ttl - time.time()), ttl

    def count(self) -> Count:
        text = self.kubernetes.ask("GET", "/metrics")["text"]
        asked = [(kind, verb, float(number)) for kind, verb, number in self._REQUESTS.findall(text) if kind in self.KINDS]
        asked = [one for one in asked if one[:2] != ("leases", "PUT")]
        return Count(sum(number for _, _, number in asked), sum(number for _, verb, number in asked if verb in self.WRITES))

    def processes(self) -> list[psutil.Process]:
        started = [one.process for one in self.kubernetes.servers] + [one.process for one in self.kubernetes.etcd.members]
        return [psutil.Process(process.pid) for process in started if process is not None]

    def _annotations(self, kind: str, name: str) -> dict[str, str]:
        try:
            found = self.kubernetes.ask("GET", self.kubernetes.path(kind, namespace=NAMESPACE, name=name))
        except KubernetesError as error:
            if error.status != 404:
                raise
            return {}
        return dict(found["metadata"].get("annotations") or {})


@contextlib.contextmanager
def kubernetes(directory: Path, scope: str) -> Iterator[BenchStore]:
    with Kubernetes(directory) as server:
        server.make_namespace(NAMESPACE)
        for name in NAMES:
            server.make_pod(name, namespace=NAMESPACE, labels={"application": APPLICATION, "cluster-name": scope})
        yield KubernetesStore(server, server.kubeconfig(directory / "kubeconfig"))
