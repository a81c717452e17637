"""A server that has too much to do: the answer 429 with Retry-After, given by the server's own rules of priority and fairness."""

import contextlib
import http
import re
import threading
from collections.abc import Iterator

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put, Renewed, RenewRequest
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, Wakes, eventually, renew, take, takes_at_most, written
from hacore.testing.kubernetes_api import KubernetesError
from hacore_dcs_kubernetes.objects import CONFIG_MAPS
from plugins.dcs_kubernetes.tests.served import Served
from plugins.dcs_kubernetes.tests.sessions import opened

FLOW = "flowcontrol.apiserver.k8s.io/v1"
NAME = "nothing-for-hacore"


@pytest.fixture
def level(alone: Served) -> str:
    """A level of priority at which nothing is ever carried out."""
    limits = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    body = {
        "apiVersion": FLOW,
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": NAME},
        "spec": {"type": "Limited", "limited": limits},
    }
    alone.kubernetes.apply([body])
    return NAME


@contextlib.contextmanager
def busy(served: Served, level: str, namespace: str) -> Iterator[None]:
    """Put every request of the agents of a namespace at that level, and one there that does not end.

    For the first request a server finds a place at any level; it holds it until its body has come, which here never does.
    """
    subject = {"kind": "ServiceAccount", "serviceAccount": {"name": "hacore", "namespace": namespace}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": 2,
        "rules": [{"subjects": [subject], "resourceRules": [everything]}],
    }
    kubernetes, token = served.kubernetes, served.token_file(namespace).read_text()
    kubernetes.apply([{"apiVersion": FLOW, "kind": "FlowSchema", "metadata": {"name": NAME}, "spec": spec}])
    path = kubernetes.path("ConfigMap", namespace=namespace)
    with contextlib.ExitStack() as endless:

        def is_refused() -> bool:
            endless.enter_context(contextlib.closing(kubernetes.begin("POST", path, token=token)))
            try:
                kubernetes.ask("GET", path, token=token)
            except KubernetesError as error:
                return error.status == http.HTTPStatus.TOO_MANY_REQUESTS
            return False

        eventually(is_refused)
        try:
            yield
        finally:
            kubernetes.ask("DELETE", kubernetes.path("FlowSchema", FLOW, name=NAME))


def rejected(served: Served) -> int:
    text = served.kubernetes.ask("GET", "/metrics")["text"]
    found = re.findall(rf'^apiserver_flowcontrol_rejected_requests_total\{{flow_schema="{NAME}".*\}} (\S+)$', text, re.MULTILINE)
    return sum(int(float(number)) for number in found)


def test_a_server_that_is_busy_is_asked_again_when_it_says_and_costs_no_lock(alone: Served, scope: str, level: str) -> None:
    with opened(alone, CONFIG_MAPS, scope) as session:
        lock = take(session, 120.0)
        with contextlib.ExitStack() as stack:
            stack.enter_context(busy(alone, level, "configmaps"))
            before, request = rejected(alone), RenewRequest(lock=lock, ttl_s=120.0)
            with takes_at_most(5.0), pytest.raises(DcsUnavailableError, match="429"):
                session.renew(request, timeout_s=5.0)
            # It says: in a second. Our own pauses between attempts would have made nine of these five seconds.
            assert 2 <= rejected(alone) - before <= 6
            relief = threading.Timer(1.5, stack.close)
            relief.start()
            answer = session.renew(request, timeout_s=30.0)
            relief.join()
        assert isinstance(answer, Renewed)
        assert answer.snapshot.lock == lock


def test_a_watch_comes_back_when_a_busy_server_is_no_longer(alone: Served, scope: str, level: str) -> None:
    with opened(alone, CONFIG_MAPS, scope) as session, opened(alone, CONFIG_MAPS, scope, "b") as other:
        wakes = Wakes()
        session.watch(wakes)
        assert wakes.within(CALL_S, after=0)
        lock = take(other, 120.0)
        with busy(alone, level, "configmaps"):
            before = rejected(alone)
            alone.cut()
            eventually(lambda: rejected(alone) > before)
            count = wakes.quiet(1.0)
        assert wakes.within(EVENTUALLY_S, after=count)
        assert isinstance(renew(other, lock, 120.0), Renewed)
        count = wakes.quiet(1.0)
        written(other, Put(name="config", value="1"))
        assert wakes.within(CALL_S, after=count)
