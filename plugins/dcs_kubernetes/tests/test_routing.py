"""Leading clients to the leader is worth no lock."""

import http
import socket
from collections.abc import Iterator

import pytest

from hacore.interfaces import Acquired, AcquireRequest, ReleaseRequest, Renewed
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, eventually, now, renew, take, takes_at_most
from hacore.testing.kubernetes_api import Answer, KubernetesError
from hacore_dcs_kubernetes.access import Access, Token
from hacore_dcs_kubernetes.client import Client
from hacore_dcs_kubernetes.objects import LEASES, Place
from hacore_dcs_kubernetes.routing import Routing
from hacore_dcs_kubernetes.settings import LEASE, KubernetesSettings
from plugins.dcs_kubernetes.tests.served import LABELS, POD_IP, Served
from plugins.dcs_kubernetes.tests.sessions import opened


def test_a_role_that_may_not_lead_clients_costs_no_lock(shared: Served, scope: str) -> None:
    namespace = f"astray-{scope}"
    settings = shared.settings(LEASES, namespace=namespace)
    role = shared.kubernetes.path("Role", "rbac.authorization.k8s.io/v1", namespace, "hacore")
    rules = shared.kubernetes.ask("GET", role)["rules"]
    slices = shared.kubernetes.path("EndpointSlice", "discovery.k8s.io/v1", namespace, scope)

    def endpoints() -> list[Answer]:
        return list(shared.kubernetes.ask("GET", slices).get("endpoints") or ())

    with opened(shared, LEASES, scope, settings=settings) as session:
        session.release(ReleaseRequest(lock=take(session, 30.0)), timeout_s=CALL_S)
        assert endpoints() == []
        shared.change(role, rules=[rule for rule in rules if "endpointslices" not in rule["resources"]])
        token = shared.token_file(namespace).read_text()
        eventually(lambda: is_forbidden(shared, slices, token))
        answer = session.acquire(AcquireRequest(ttl_s=30.0), timeout_s=CALL_S)
        assert isinstance(answer, Acquired)
        assert isinstance(renew(session, answer.lock, 30.0), Renewed)
        assert endpoints() == []
        shared.change(role, rules=rules)
        eventually(lambda: not is_forbidden(shared, slices, token))
        assert isinstance(renew(session, answer.lock, 30.0), Renewed)
        (endpoint,) = endpoints()
        assert endpoint["addresses"] == [POD_IP]


def is_forbidden(shared: Served, path: str, token: str) -> bool:
    try:
        shared.kubernetes.ask("GET", path, token=token)
    except KubernetesError as error:
        return error.status == http.HTTPStatus.FORBIDDEN
    return False


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_says_nothing_of_the_clients_leaves_most_of_the_time_to_the_lock(silent: str) -> None:
    clock = BootClock()
    routing = Routing(
        client=Client(Access(servers=(silent,), tls=None, token=Token("text", None, clock)), clock),
        kind=LEASES,
        place=Place(namespace="default", scope="demo", scope_label="cluster-name", labels=dict(LABELS)),
        settings=KubernetesSettings(labels=LABELS, lock=LEASE, pod_ip=POD_IP),
        member="a",
        clock=clock,
    )
    with takes_at_most(CALL_S / 4):
        assert routing.before(None, now() + CALL_S) is None
