"""The API of Kubernetes as its administrator uses it for a test: creates, looks, watches, hands out ways in. It starts nothing."""

import base64
import contextlib
import http.client
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from hacore.errors import HacoreError
from hacore.testing.workdir import give_away

Answer = dict[str, Any]
_ASK_S: Final = 10.0
_RESOURCES: Final[Mapping[str, str]] = {  # plural names in paths, of the kinds that manifests here have
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "Endpoints": "endpoints",
    "EndpointSlice": "endpointslices",
    "FlowSchema": "flowschemas",
    "Lease": "leases",
    "Namespace": "namespaces",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PriorityLevelConfiguration": "prioritylevelconfigurations",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
_CLUSTERED: Final = frozenset({"ClusterRole", "ClusterRoleBinding", "FlowSchema", "Namespace", "PriorityLevelConfiguration"})


class KubernetesError(HacoreError):
    """The server did not do what the test asked of it."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class KubernetesApi(ABC):
    """What a test does with the API, as the administrator unless it has another token.

    :param authority: the file with the certificate that clients must trust.
    """

    def __init__(self, *, authority: Path, token: str) -> None:
        self.authority = authority
        self.token = token

    @property
    @abstractmethod
    def port(self) -> int:
        """The port of a server that runs, on 127.0.0.1."""

    def ask(self, method: str, path: str, body: object = None, *, port: int | None = None, token: str | None = None) -> Answer:
        """Send one request, as the administrator unless a token is given.

        :raises KubernetesError: with the status of the refusal.
        """
        asked = port or self.port
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": kind}
        connection = http.client.HTTPSConnection("127.0.0.1", asked, timeout=_ASK_S, context=self._tls())
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if reply.status >= 400:
            raise KubernetesError(f"{method} {path}: {reply.status} {text[:500]}", reply.status)
        return cast("Answer", json.loads(text)) if text.startswith("{") else {"text": text}

    def begin(self, method: str, path: str, *, token: str) -> http.client.HTTPSConnection:
        """Begin a request whose body never comes; it ends with the connection."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_ASK_S, context=self._tls())
        connection.putrequest(method, path)
        for name, value in (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"), ("Content-Length", "1000")):
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    @contextlib.contextmanager
    def watching(self, path: str, *, silence_s: float) -> Iterator[Iterator[Answer]]:
        """Open a watch as the administrator; its events, until it has been silent for too long.

        :raises OSError: it has been, or has ended in another way.
        """
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=silence_s, context=self._tls())
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            reply = connection.getresponse()
            yield (json.loads(line) for line in iter(reply.readline, b""))
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error
        finally:
            connection.close()

    def apply(self, documents: Iterable[Mapping[str, Any]], *, namespace: str | None = None) -> None:
        """Create the objects of manifests, each checked strictly; one that is there already is left."""
        for document in documents:
            path = self.path(str(document["kind"]), str(document["apiVersion"]), namespace or document["metadata"].get("namespace"))
            metadata = {**document["metadata"], **({} if namespace is None or document["kind"] in _CLUSTERED else {"namespace": namespace})}
            try:
                self.ask("POST", f"{path}?fieldValidation=Strict", {**document, "metadata": metadata})
            except KubernetesError as error:
                if error.status != http.HTTPStatus.CONFLICT:
                    raise

    def path(self, kind: str, version: str = "v1", namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of a collection, or of an object in it."""
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inside = "" if kind in _CLUSTERED else f"/namespaces/{namespace or 'default'}"
        return f"{root}{inside}/{_RESOURCES[kind]}" + (f"/{name}" if name is not None else "")

    def make_namespace(self, name: str) -> None:
        """Create a namespace."""
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])

    def make_pod(self, name: str, *, namespace: str = "default", labels: Mapping[str, str]) -> None:
        """Create a pod, which nobody will run; one of this name is taken away before."""
        path = self.path("Pod", namespace=namespace)
        with contextlib.suppress(KubernetesError):
            self.ask("DELETE", f"{path}/{name}?gracePeriodSeconds=0")
        spec = {"containers": [{"name": "postgres", "image": "none"}]}
        self.ask("POST", path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(labels)}, "spec": spec})

    def account_token(self, account: str, *, namespace: str = "default", bound_to: str | None = None) -> str:
        """Return a token of a service account; ``bound_to``: a Secret with whose end the token ends."""
        spec: dict[str, Any] = {"expirationSeconds": 3600}
        if bound_to is not None:
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": bound_to}
        path = self.path("ServiceAccount", namespace=namespace, name=account)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.ask("POST", f"{path}/token", asked)["status"]["token"])

    def kubeconfig(self, file: Path, *, token_file: Path | None = None, token: str | None = None, server: str | None = None) -> Path:
        """Write a kubeconfig with one context, ``tests``, as the administrator unless a token is given."""
        user = {"tokenFile": str(token_file)} if token_file is not None else {"token": token or self.token}
        cluster = {
            "server": server or f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode(),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": user}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        }
        file.write_text(yaml.safe_dump(document))
        give_away(file)
        return file

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))
