"""Who is let in, by what, and who is not because another kind of lock lives."""

import contextlib
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import AcquireRequest, Put, ReleaseRequest, Renewed
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, Wakes, eventually, look, now, renew, request_for, take, takes_at_most, written
from hacore_dcs_kubernetes.access import find_access
from hacore_dcs_kubernetes.client import Client
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES, Kind, Objects, Place
from hacore_dcs_kubernetes.plugin import KubernetesPlugin
from hacore_dcs_kubernetes.settings import KubernetesSettings
from plugins.dcs_kubernetes.tests.served import LABELS, Served, manifest
from plugins.dcs_kubernetes.tests.sessions import is_denied, is_renewed, opened


def test_a_role_that_is_away_for_a_moment_does_not_cost_the_lock(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        lock = take(session, 30.0)
        path = shared.kubernetes.path("RoleBinding", "rbac.authorization.k8s.io/v1", "configmaps", "hacore")
        shared.kubernetes.ask("DELETE", path)
        eventually(lambda: is_denied(session, lock.instance))
        shared.kubernetes.apply(manifest("rbac-configmaps.yaml"), namespace="configmaps")
        eventually(lambda: is_renewed(session, lock.instance))


def test_an_answer_with_a_retriable_code_is_not_the_last_word(shared: Served, scope: str) -> None:
    access = find_access(shared.settings(CONFIG_MAPS), BootClock())
    path = shared.kubernetes.path("Pod", namespace="configmaps", name=scope)
    with contextlib.closing(Client(access, BootClock())) as client, pytest.raises(DcsUnavailableError, match="404"):
        client.get(path, until=now() + CALL_S)
    with contextlib.closing(Client(access, BootClock(), frozenset({404}))) as client:
        made = threading.Timer(0.5, lambda: shared.kubernetes.make_pod(scope, namespace="configmaps", labels={}))
        made.start()
        with takes_at_most(CALL_S):
            assert client.get(path, until=now() + 2 * CALL_S)["metadata"]["name"] == scope
        made.join()


def test_a_token_that_has_ended_is_read_again_from_its_file(shared: Served, scope: str) -> None:
    shared.account(CONFIG_MAPS, "configmaps")
    kubernetes, name = shared.kubernetes, f"bound-{scope}"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    kubernetes.apply([secret], namespace="configmaps")
    shared.write_token("configmaps", kubernetes.account_token("hacore", namespace="configmaps", bound_to=name))
    try:
        with opened(shared, CONFIG_MAPS, scope) as session:
            wakes = Wakes()
            session.watch(wakes)
            lock = take(session, 60.0)
            kubernetes.ask("DELETE", kubernetes.path("Secret", namespace="configmaps", name=name))
            eventually(lambda: is_denied(session, lock.instance), within_s=40.0)  # the server remembers a token for a while
            shared.write_token("configmaps", kubernetes.account_token("hacore", namespace="configmaps"))
            assert isinstance(renew(session, lock, 60.0), Renewed)
            before = wakes.quiet(1.0)
            written(session, Put(name="config", value="1"))
            assert wakes.within(CALL_S, after=before)
    finally:
        shared.write_token("configmaps", kubernetes.account_token("hacore", namespace="configmaps"))


def test_who_may_not_read_is_a_wrong_configuration(shared: Served, scope: str) -> None:
    settings = replace(shared.settings(CONFIG_MAPS), namespace="kube-system")
    with pytest.raises(ConfigError, match="want a role"):
        KubernetesPlugin(settings).hacore_open_dcs(request_for(scope, "a"))


def test_a_member_that_is_no_pod_of_the_cluster_is_a_wrong_configuration(shared: Served, scope: str) -> None:
    plugin = KubernetesPlugin(shared.settings(CONFIG_MAPS))
    with pytest.raises(ConfigError, match="want the name of the pod"):
        plugin.hacore_open_dcs(request_for(scope, "nobody"))
    shared.kubernetes.make_pod("stranger", namespace="configmaps", labels={"application": "hacore"})
    with pytest.raises(ConfigError, match=f"cluster-name={scope}"):
        plugin.hacore_open_dcs(request_for(scope, "stranger"))
    (said,) = plugin.hacore_validate(Validate(context=request_for(scope, "stranger").context, online=True))
    assert "cluster-name" in said
    shared.admit(CONFIG_MAPS, scope, "a")
    assert plugin.hacore_validate(Validate(context=request_for(scope, "a").context, online=True)) == ()


@pytest.mark.parametrize("scope", ["Demo", "demo.", "-demo", "d" * 64, "de/mo"])
def test_a_scope_that_can_name_no_object_is_a_wrong_configuration(shared: Served, scope: str) -> None:
    with pytest.raises(ConfigError, match="scope"):
        KubernetesPlugin(shared.settings(CONFIG_MAPS)).hacore_open_dcs(request_for(scope, "a"))


def test_an_observer_needs_no_pod(shared: Served, scope: str) -> None:
    plugin = KubernetesPlugin(shared.settings(CONFIG_MAPS))
    with contextlib.closing(plugin.hacore_open_dcs(request_for(scope, "somebody", observer=True))) as observer:
        assert look(observer).members == {}


def test_no_server_at_all_is_unavailable_and_not_a_wrong_configuration(shared: Served, scope: str) -> None:
    settings = replace(shared.settings(CONFIG_MAPS), api_servers=("https://127.0.0.1:9",))
    with takes_at_most(4.0), pytest.raises(DcsUnavailableError):
        KubernetesPlugin(settings).hacore_open_dcs(request_for(scope, "a"))


def test_a_server_with_another_certificate_is_not_believed(shared: Served, scope: str, alone: Served) -> None:
    settings = replace(shared.settings(CONFIG_MAPS), api_servers=alone.servers)
    with pytest.raises(DcsUnavailableError, match="certificate"):
        KubernetesPlugin(settings).hacore_open_dcs(request_for(scope, "a"))


def test_every_manifest_is_taken(shared: Served) -> None:
    shared.kubernetes.make_namespace("manifests")
    for name in ("rbac-configmaps.yaml", "services-by-label.yaml", "services-by-lock.yaml", "statefulset.yaml"):
        shared.kubernetes.apply(manifest(name), namespace="manifests")
    found = shared.kubernetes.ask("GET", shared.kubernetes.path("StatefulSet", "apps/v1", "manifests", "demo"))
    assert found["spec"]["replicas"] == 3


def test_no_session_is_opened_while_a_lock_of_another_kind_lives(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        lock = take(session, 3.0)
        for kind in (LEASES, ENDPOINTS):
            plugin = crossing(shared, kind)
            with pytest.raises(DcsUnavailableError, match="names a as leader"):
                plugin.hacore_open_dcs(request_for(scope, "a"))
            assert isinstance(renew(session, lock, 3.0), Renewed)
            with pytest.raises(ConfigError, match="holds the lock of this cluster in ConfigMap"):
                plugin.hacore_open_dcs(request_for(scope, "a"))


def test_a_lock_of_another_kind_is_dead_when_it_has_stood_still_for_its_time(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        take(session, 2.0)
    plugin = crossing(shared, LEASES)
    seen_at = now()

    def is_open() -> bool:
        with contextlib.suppress(DcsUnavailableError):
            plugin.hacore_open_dcs(request_for(scope, "a")).close()
            return True
        return False

    eventually(is_open)
    assert now() >= seen_at + 2.0


def test_a_lock_of_another_kind_that_was_given_back_is_no_hindrance(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        session.release(ReleaseRequest(lock=take(session, 30.0)), timeout_s=CALL_S)
    with contextlib.closing(crossing(shared, LEASES).hacore_open_dcs(request_for(scope, "a"))) as session:
        take(session, 30.0)


def test_of_two_agents_with_locks_of_different_kinds_that_started_together_one_leads(shared: Served, scope: str) -> None:
    plugin = crossing(shared, LEASES)
    with opened(shared, CONFIG_MAPS, scope) as session, contextlib.closing(plugin.hacore_open_dcs(request_for(scope, "a"))) as other:
        lock = take(session, 30.0)
        for _ in range(2):
            with pytest.raises(DcsUnavailableError, match="ConfigMap"):
                other.acquire(AcquireRequest(ttl_s=30.0), timeout_s=CALL_S)
            assert shared.found(LEASES, scope, namespace="configmaps")["spec"].get("holderIdentity") is None
            assert look(other).lock is None
        assert isinstance(renew(session, lock, 30.0), Renewed)
        session.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        taken = take(other, 30.0)
        assert isinstance(renew(other, taken, 30.0), Renewed)


def test_with_a_lease_it_must_be_possible_to_see_the_other_kinds(shared: Served, scope: str) -> None:
    """The field's own roles do not let an agent see the other kinds: then only an agent with a lease insists."""
    namespace = f"blind-{scope}"
    settings = shared.settings(LEASES, namespace=namespace)
    shared.admit(LEASES, scope, "a", namespace=namespace)
    path = shared.kubernetes.path("Role", "rbac.authorization.k8s.io/v1", namespace, "hacore")
    rules = shared.kubernetes.ask("GET", path)["rules"]
    shared.change(path, rules=[rule for rule in rules if "configmaps" not in rule["resources"]])
    eventually(lambda: refuses(settings, scope, "want a role that may get configmaps"))


def refuses(settings: KubernetesSettings, scope: str, words: str) -> bool:
    try:
        KubernetesPlugin(settings).hacore_open_dcs(request_for(scope, "a")).close()
    except ConfigError as error:
        return words in str(error)
    return False


def crossing(shared: Served, kind: Kind) -> KubernetesPlugin:
    """A plugin for another kind of lock in the namespace of those with ConfigMaps, with the rights for it."""
    shared.account(kind, kind.resource)
    rules = [
        document
        for document in manifest({LEASES: "rbac-lease.yaml", ENDPOINTS: "rbac-endpoints.yaml"}[kind])
        if document["kind"] != "ServiceAccount"
    ]
    for document in rules:
        document["metadata"]["name"] = f"hacore-{kind.resource}"
        if "roleRef" in document:
            document["roleRef"]["name"] = f"hacore-{kind.resource}"
    shared.kubernetes.apply(rules, namespace="configmaps")
    settings = replace(shared.settings(kind), namespace="configmaps", kubeconfig=str(shared.account(CONFIG_MAPS, "configmaps")))
    return KubernetesPlugin(settings)


def test_in_a_pod_the_service_account_lets_us_in(shared: Served, scope: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.account(CONFIG_MAPS, "configmaps")
    (scratch / "token").write_text(shared.token_file("configmaps").read_text())
    (scratch / "ca.crt").write_bytes(shared.kubernetes.authority.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(shared.kubernetes.servers[0].port))
    settings = KubernetesSettings(labels=LABELS, namespace="configmaps")
    access = find_access(settings, BootClock(), account=scratch)
    place = Place(namespace="configmaps", scope=scope, scope_label="cluster-name", labels=dict(LABELS))
    with contextlib.closing(Client(access, BootClock())) as client:
        assert Objects(client, CONFIG_MAPS, place).list(now() + CALL_S)[1] == {}


def test_an_authority_that_is_written_anew_is_believed_without_a_restart(shared: Served, scope: str, scratch: Path, alone: Served) -> None:
    """Both ways in which a kubeconfig has it: in itself, and in a file."""
    for name, key in (("within", "certificate-authority-data"), ("beside", "certificate-authority")):
        file, authority = scratch / name, scratch / "ca.crt"

        def write(served: Served, key: str = key, file: Path = file, authority: Path = authority) -> None:
            document = yaml.safe_load(shared.kubernetes.kubeconfig(scratch / "good").read_text())
            cluster = document["clusters"][0]["cluster"]
            text = served.kubernetes.authority.read_bytes()
            cluster.pop("certificate-authority", None)
            cluster.pop("certificate-authority-data", None)
            cluster[key] = b64encode(text).decode() if key.endswith("data") else authority.name
            authority.write_bytes(text)
            file.write_text(yaml.safe_dump(document))

        write(alone)
        access = find_access(KubernetesSettings(labels=LABELS, kubeconfig=str(file)), BootClock())
        place = Place(namespace="default", scope=scope, scope_label="cluster-name", labels=dict(LABELS))
        with contextlib.closing(Client(access, BootClock())) as client:
            with pytest.raises(DcsUnavailableError, match="certificate"):
                Objects(client, CONFIG_MAPS, place).list(now() + CALL_S)
            write(shared)
            assert Objects(client, CONFIG_MAPS, place).list(now() + CALL_S)[1] == {}


def test_the_servers_behind_the_service_are_preferred_and_the_service_stays_as_a_last_resort(shared: Served) -> None:
    kubernetes = shared.kubernetes
    shared.account(CONFIG_MAPS, "configmaps")
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "kubernetes"},
        "subsets": [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": [{"name": "https", "port": 6443}]}],
    }
    kubernetes.apply([endpoints], namespace="default")
    client = Client(find_access(shared.settings(CONFIG_MAPS), BootClock()), BootClock())
    service = client.servers
    Directory(BootClock(), (client,), bypass=True).look(client)
    assert client.servers == service  # not allowed to ask
    binding, role = (document for document in reversed(manifest("rbac-bypass.yaml")))
    binding["subjects"][0]["namespace"] = "configmaps"
    kubernetes.apply([role, binding])
    directory = Directory(BootClock(), (client,), bypass=False)
    directory.look(client)
    assert client.servers == service

    def is_told() -> bool:
        Directory(BootClock(), (client,), bypass=True).look(client)
        return set(client.servers[:-1]) == {"https://192.0.2.1:6443", "https://[2001:db8::1]:6443"}

    eventually(is_told)
    assert client.servers[-1:] == service


def test_a_kubeconfig_that_cannot_be_used_is_a_wrong_configuration(shared: Served, scratch: Path) -> None:
    good = shared.kubernetes.kubeconfig(scratch / "good").read_text()
    cases: list[tuple[str, str, str]] = [
        ("token: ", "exec: {command: ", "exec"),
        ("current-context: tests", "current-context: elsewhere", "elsewhere"),
        ("server:", "insecure-skip-tls-verify: true\n    server:", "always verified"),
    ]
    for old, new, words in cases:
        text = good.replace(old, new, 1)
        text = text.replace("{command: " + shared.kubernetes.token, "{command: x}") if "exec" in new else text
        (scratch / "wrong").write_text(text)
        settings = KubernetesSettings(labels=LABELS, kubeconfig=str(scratch / "wrong"))
        with pytest.raises(ConfigError, match=words):
            find_access(settings, BootClock())
    with pytest.raises(ConfigError, match="nowhere"):
        find_access(KubernetesSettings(labels=LABELS, kubeconfig="/nowhere"), BootClock())


def test_a_file_that_cannot_be_used_is_named_alone(shared: Served, scratch: Path) -> None:
    good = shared.kubernetes.kubeconfig(scratch / "good").read_text()
    certificate = "dG9rZW4=  # no certificate"
    cases = {
        "client-certificate: gone.crt": rf"wrong\.client-certificate: {scratch}/gone\.crt: No such file",
        f"client-certificate-data: {certificate}": r"wrong\.client-certificate-data: no certificate in it",
        "client-certificate-data: broken": r"wrong\.client-certificate-data: not in base64",
    }
    for line, words in cases.items():
        (scratch / "wrong").write_text(good.replace("    token: ", f"    {line}\n    token: ", 1))
        with pytest.raises(ConfigError, match=words):
            find_access(KubernetesSettings(labels=LABELS, kubeconfig=str(scratch / "wrong")), BootClock())
    with pytest.raises(ConfigError, match=r"^kubernetes\.cacert: /nowhere\.crt: No such file"):
        find_access(KubernetesSettings(labels=LABELS, kubeconfig=str(scratch / "good"), cacert="/nowhere.crt"), BootClock())
