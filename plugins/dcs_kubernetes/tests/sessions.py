"""Sessions and what they left in the objects, for the tests of this plugin."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Renewed
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import look, renew, request_for
from hacore.testing.kubernetes_api import KubernetesError
from hacore_dcs_kubernetes.access import find_access
from hacore_dcs_kubernetes.client import Client
from hacore_dcs_kubernetes.objects import Kind, Objects, Place
from hacore_dcs_kubernetes.plugin import KubernetesPlugin
from hacore_dcs_kubernetes.settings import KubernetesSettings
from plugins.dcs_kubernetes.tests.served import LABELS, Served

TTL_S = 4.0
RUNNING = '{"state":"running","role":"replica"}'


@contextlib.contextmanager
def opened(shared: Served, kind: Kind, scope: str, member: str = "a", settings: KubernetesSettings | None = None) -> Iterator[Dcs]:
    chosen = settings or shared.settings(kind)
    shared.admit(kind, scope, member, namespace=chosen.namespace)
    plugin = KubernetesPlugin(chosen)
    with contextlib.closing(plugin.hacore_open_dcs(request_for(scope, member))) as session:
        yield session


def annotations(shared: Served, kind: Kind, name: str) -> dict[str, str]:
    """Those of the field; ours begin with our name."""
    found = shared.found(kind, name)["metadata"].get("annotations") or {}
    return {key: text for key, text in found.items() if not key.startswith("hacore")}


def objects_of(shared: Served, kind: Kind, scope: str) -> Objects:
    settings = shared.settings(kind)
    return Objects(client_of(settings), kind, place_of(settings, scope))


def client_of(settings: KubernetesSettings) -> Client:
    return Client(find_access(settings, BootClock()), BootClock())


def place_of(settings: KubernetesSettings, scope: str) -> Place:
    return Place(namespace=settings.namespace, scope=scope, scope_label="cluster-name", labels=dict(LABELS))


def asked(shared: Served) -> Counter[str]:
    """What the first server was asked for so far, by resource and verb. A watch is counted when it ends."""
    text = shared.kubernetes.ask("GET", "/metrics")["text"]
    found = re.findall(r'^apiserver_request_total\{.*,resource="(\w+)".*verb="(\w+)".*\} (\S+)$', text, re.MULTILINE)
    counted: Counter[str] = Counter()
    for resource, verb, number in found:
        counted[f"{verb} {resource}"] += int(float(number))
    return counted


def is_denied(session: Dcs, instance: str) -> bool:
    try:
        return not is_renewed(session, instance)
    except KubernetesError:
        return False


def is_renewed(session: Dcs, instance: str) -> bool:
    with contextlib.suppress(DcsUnavailableError):
        lock = look(session).lock
        assert lock is not None
        assert lock.instance == instance
        assert isinstance(renew(session, lock, 60.0), Renewed)
        return True
    return False
