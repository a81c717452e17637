"""A Kubernetes API as the store of whole clusters, looked at and harmed from outside."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml

from hacore.testing.kubernetes import Kubernetes
from hacore.testing.kubernetes_api import Answer, KubernetesError
from hacore.testing.workdir import give_away
from tests.chaos.stores import POLL_S, SCOPE, StoreAtWork

NAMESPACE: Final = "databases"
LABELS: Final = {"application": "hacore", "cluster-name": SCOPE}
_ROLE: Final = Path(__file__).parents[2] / "examples" / "kubernetes" / "rbac-configmaps.yaml"
_OBJECTS: Final = {"leader": f"{SCOPE}-leader", "config": f"{SCOPE}-config", "failover": f"{SCOPE}-failover", "sync": f"{SCOPE}-sync"}


class KubernetesAtWork(StoreAtWork):
    """One API server on one etcd; the agents' pods are plain objects, and their service account has the shipped role alone."""

    def __init__(self, directory: Path, *, size: int = 1) -> None:
        self.kubernetes = Kubernetes(directory, size=size)
        self._directory = directory
        self._pods: set[str] = set()

    def __enter__(self) -> Self:
        self.kubernetes.__enter__()
        try:
            self.kubernetes.make_namespace(NAMESPACE)
            self.kubernetes.apply(yaml.safe_load_all(_ROLE.read_text()), namespace=NAMESPACE)
            token = self._directory / "token"
            token.write_text(self.kubernetes.account_token("hacore", namespace=NAMESPACE))
            give_away(token)
            self.kubernetes.kubeconfig(self._directory / "kubeconfig", token_file=token)
        except BaseException:
            self.close()
            raise
        return self

    def section(self, name: str) -> Mapping[str, Any]:
        if name not in self._pods and name != "*":
            self.kubernetes.make_pod(name, namespace=NAMESPACE, labels=LABELS)
            self._pods.add(name)
        kubeconfig = str(self._directory / "kubeconfig")
        return {"kubernetes": {"labels": {"application": "hacore"}, "namespace": NAMESPACE, "kubeconfig": kubeconfig}}

    def records(self) -> dict[str, str]:
        leader, config, failover = (self._annotations(home) for home in ("leader", "config", "failover"))
        members = {f"members/{name}": status for name in self._pods if (status := self._pod(name).get("status"))}
        found = {
            name: text
            for name, text in {**leader, **config}.items()
            if name in ("leader", "hacore", "failsafe", "config", "initialize", "history")
        }
        if "optime" in leader:
            found["status"] = json.dumps({"optime": int(leader["optime"])})
        wish = {key: text for key, text in failover.items() if key in ("leader", "member", "scheduled_at")}
        return {**found, **({"failover": json.dumps(wish)} if wish else {}), **members}

    def delete(self, name: str | None = None) -> None:
        if name is None:
            for home in _OBJECTS:
                self._ask_if_there("DELETE", self._path(home))
            for pod in self._pods:
                self._ask_if_there("PATCH", self._pod_path(pod), {"metadata": {"annotations": {"status": None}}})
        elif name.startswith("members/"):
            self._ask_if_there("PATCH", self._pod_path(name.removeprefix("members/")), {"metadata": {"annotations": {"status": None}}})
        else:
            home = "leader" if name in {"leader", "hacore", "failsafe"} else "config"
            self._ask_if_there("PATCH", self._path(home), {"metadata": {"annotations": {name: None}}})

    def follow_own(self, seen: Callable[[str], None], stop: threading.Event) -> None:
        known: str | None = None
        path = self.kubernetes.path("ConfigMap", namespace=NAMESPACE)
        wanted = f"{path}?watch=true&fieldSelector=metadata.name%3D{_OBJECTS['leader']}"
        while not stop.wait(POLL_S):
            with contextlib.suppress(OSError, ValueError, KubernetesError), self.kubernetes.watching(wanted, silence_s=3.0) as events:
                for event in events:
                    found = (event["object"]["metadata"].get("annotations") or {}).get("hacore")
                    if found is not None and found != known:
                        known = found
                        seen(found)
                    if stop.is_set():
                        return

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        self.kubernetes.stop()
        yield
        self.kubernetes.start()

    def close(self) -> None:
        self.kubernetes.close()

    def _annotations(self, home: str) -> dict[str, str]:
        return self._found(self._path(home))

    def _pod(self, name: str) -> dict[str, str]:
        return self._found(self._pod_path(name))

    def _found(self, path: str) -> dict[str, str]:
        return dict(self._ask_if_there("GET", path).get("metadata", {}).get("annotations") or {})

    def _ask_if_there(self, method: str, path: str, body: object = None) -> Answer:
        try:
            return self.kubernetes.ask(method, path, body)
        except KubernetesError as error:
            if error.status != 404:
                raise
            return {}

    def _path(self, home: str) -> str:
        return self.kubernetes.path("ConfigMap", namespace=NAMESPACE, name=_OBJECTS[home])

    def _pod_path(self, name: str) -> str:
        return self.kubernetes.path("Pod", namespace=NAMESPACE, name=name)
