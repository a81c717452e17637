"""Real API servers behind proxies, and a service account that may do what the shipped role lets it, for the tests of this plugin."""

import contextlib
import http
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from hacore.testing.conformance.dcs import DcsFaults, StoreUnderTest
from hacore.testing.conformance.proxied import Proxied
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.kubernetes import Kubernetes
from hacore.testing.kubernetes_api import Answer, KubernetesError
from hacore.testing.server_process import all_frozen
from hacore.testing.workdir import give_away, work_directory
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES, Kind
from hacore_dcs_kubernetes.plugin import KubernetesPlugin
from hacore_dcs_kubernetes.settings import KubernetesSettings

EXAMPLES = Path(__file__).parents[3] / "examples" / "kubernetes"
LABELS = (("application", "hacore"),)
ROLES = {CONFIG_MAPS: "rbac-configmaps.yaml", ENDPOINTS: "rbac-endpoints.yaml", LEASES: "rbac-lease.yaml"}
WAYS = {CONFIG_MAPS: {}, ENDPOINTS: {"use_endpoints": True}, LEASES: {"lock": "lease"}}
POD_IP = "10.1.2.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Proxied):
    """API servers, and the proxy before each; a namespace of its own for each kind of object, with its role and nothing more."""

    kubernetes: Kubernetes
    admitted: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(f"https://{proxy.endpoint}" for proxy in self.proxies)

    def settings(self, kind: Kind, *, namespace: str | None = None, servers: tuple[str, ...] | None = None) -> KubernetesSettings:
        place = namespace or kind.resource
        plain = KubernetesSettings(
            labels=LABELS,
            namespace=place,
            pod_ip=POD_IP,
            kubeconfig=str(self.account(kind, place)),
            api_servers=servers or self.servers[:1],
        )
        return replace(plain, **WAYS[kind])  # type: ignore[arg-type]

    def account(self, kind: Kind, namespace: str) -> Path:
        """The kubeconfig of a service account to which the shipped manifest gives its role."""
        file = self.kubernetes.directory / f"{namespace}.kubeconfig"
        if not file.exists():
            self.kubernetes.make_namespace(namespace)
            self.kubernetes.apply(manifest(ROLES[kind]), namespace=namespace)
            self.write_token(namespace, self.kubernetes.account_token("hacore", namespace=namespace))
            self.kubernetes.kubeconfig(file, token_file=self.token_file(namespace))
        return file

    def token_file(self, namespace: str) -> Path:
        return self.kubernetes.directory / f"{namespace}.token"

    def write_token(self, namespace: str, token: str) -> None:
        file = self.token_file(namespace)
        file.write_text(token)
        give_away(file)

    def admit(self, kind: Kind, cluster: str, member: str, *, namespace: str | None = None) -> None:
        """Create the pod of a member; one that was another cluster's is taken away."""
        place = namespace or kind.resource
        self.account(kind, place)
        if self.admitted.get((place, member)) != cluster:
            try:
                self.kubernetes.make_pod(member, namespace=place, labels={**dict(LABELS), "cluster-name": cluster})
            except KubernetesError as error:
                if error.status != http.HTTPStatus.UNPROCESSABLE_ENTITY:  # no name for a cluster here: no pod can be one of its members
                    raise
            self.admitted[place, member] = cluster

    def found(self, kind: Kind, name: str, *, namespace: str | None = None) -> Answer:
        return self.kubernetes.ask("GET", self.path(kind, name, namespace=namespace))

    def pod(self, kind: Kind, name: str, *, namespace: str | None = None) -> Answer:
        return self.kubernetes.ask("GET", self.kubernetes.path("Pod", namespace=namespace or kind.resource, name=name))

    def path(self, kind: Kind, name: str, *, namespace: str | None = None) -> str:
        return self.kubernetes.path(kind.name, kind.version, namespace or kind.resource, name)

    def change(self, path: str, **metadata_or_fields: object) -> None:
        self.kubernetes.ask("PATCH", path, metadata_or_fields)

    def cut(self) -> None:
        """End every connection."""
        for proxy in self.proxies:
            proxy.cut()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        with all_frozen(self.kubernetes.servers):
            yield
        self.kubernetes.wait_ready()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.kubernetes.stop()
        yield
        self.kubernetes.start()

    def under_test(self, kind: Kind, *, servers: tuple[str, ...] | None = None) -> StoreUnderTest:
        return StoreUnderTest(
            plugin=KubernetesPlugin,
            settings=self.settings(kind, servers=servers),
            faults=DcsFaults(
                remove_lock=lambda cluster: self.remove_lock(kind, cluster),
                remove_member=lambda _, name: self.remove_member(kind, name),
                stalled=self.stalled,
                save=self.kubernetes.save,
                restore=self.kubernetes.restore,
            ),
            network=self.network_faults(self.down),
            servers=self.server_faults(),
            admit=lambda cluster, member: self.admit(kind, cluster, member),
        )

    def remove_lock(self, kind: Kind, cluster: str) -> None:
        path = self.path(kind, cluster + kind.leader_suffix)
        if kind is LEASES:
            self.change(path, spec={"holderIdentity": None})
        else:
            self.change(path, metadata={"annotations": {"leader": None}})

    def remove_member(self, kind: Kind, name: str) -> None:
        path = self.kubernetes.path("Pod", namespace=kind.resource, name=name)
        self.change(path, metadata={"annotations": {"status": None}})


@contextlib.contextmanager
def served(size: int, *, arguments: Sequence[str] = ()) -> Iterator[Served]:
    with ExitStack() as stack:
        directory = stack.enter_context(work_directory("kubernetes-")).path
        kubernetes = stack.enter_context(Kubernetes(directory, size=size, arguments=arguments))
        proxies = [stack.enter_context(TcpProxy(("127.0.0.1", server.port))) for server in kubernetes.servers]
        yield Served(kubernetes=kubernetes, proxies=proxies)


def manifest(name: str) -> list[Answer]:
    """The documents of a shipped manifest."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))
