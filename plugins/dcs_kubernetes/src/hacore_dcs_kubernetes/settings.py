"""What stands in the section ``kubernetes``, checked and frozen."""

from dataclasses import dataclass
from typing import Final

LEASE: Final = "lease"
ANNOTATIONS: Final = "annotations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port of the leader's address."""

    name: str | None = None
    port: int = 5432
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Settings of the Kubernetes store."""

    labels: tuple[tuple[str, str], ...]  # of everything that belongs to the cluster, beside the scope's
    scope_label: str = "cluster-name"
    role_label: str = "role"
    leader_label_value: str = "primary"
    follower_label_value: str = "replica"
    standby_leader_label_value: str = "primary"
    tmp_role_label: str | None = None
    namespace: str = "default"
    use_endpoints: bool = False
    lock: str = ANNOTATIONS  # or in a Lease
    pod_ip: str | None = None  # where clients find this member
    ports: tuple[Port, ...] = (Port(),)
    bypass_api_service: bool = False
    cacert: str | None = None  # file; ``None``: the service account's, or the kubeconfig's
    retriable_http_codes: tuple[int, ...] = ()
    context: str | None = None  # of the kubeconfig
    kubeconfig: str | None = None  # file; ``None``: in a pod the service account, elsewhere the user's own
    api_servers: tuple[str, ...] = ()  # in place of the address that the service account or the kubeconfig names
    bootstrap_labels: tuple[tuple[str, str], ...] = ()  # of the pod while its data directory is being made
