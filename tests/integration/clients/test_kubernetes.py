"""Patroni's own command line, unmodified from PyPI, finds and drives a cluster of hacore whose store is Kubernetes."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
import yaml

from hacore.testing.cluster import Cluster
from hacore.testing.servers import locate
from hacore.testing.workdir import work_directory
from tests.chaos.kubernetes_at_work import LABELS, NAMESPACE, KubernetesAtWork

pytestmark = [pytest.mark.xdist_group("clients on kubernetes"), pytest.mark.timeout(240)]
Ctl = Callable[..., str]


@pytest.fixture(scope="module")
def on_kubernetes(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, KubernetesAtWork]]:
    with (
        work_directory("clients-", session=request.session) as directory,
        KubernetesAtWork(directory.path) as store,
        Cluster(directory.path, store=store.section) as cluster,
    ):
        cluster.wait_ready()
        yield cluster, store


@pytest.fixture
def patronictl(on_kubernetes: tuple[Cluster, KubernetesAtWork]) -> Ctl:
    """Its configuration is the section of a node without what is ours alone; its way in is the user's kubeconfig."""
    cluster, store = on_kubernetes
    home = cluster.directory / "home"
    (home / ".kube").mkdir(parents=True, exist_ok=True)
    kubeconfig = store.kubernetes.kubeconfig(home / ".kube" / "config")
    section = {"namespace": NAMESPACE, "labels": {"application": LABELS["application"]}, "context": "tests"}
    file = cluster.directory / "patronictl.yml"
    file.write_text(yaml.safe_dump({"scope": cluster.scope, "kubernetes": section}))
    environment = {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def run(*arguments: str) -> str:
        command = [str(locate("patroni").program("patronictl")), "-c", str(file), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def cluster(on_kubernetes: tuple[Cluster, KubernetesAtWork]) -> Cluster:
    on_kubernetes[0].wait_ready()
    return on_kubernetes[0]


def test_it_lists_every_member_with_its_role_and_state(cluster: Cluster, patronictl: Ctl) -> None:
    rows = {row["Member"]: row for row in json.loads(patronictl("list", "-f", "json"))}
    leader = cluster.the_leader().name
    assert {name: (row["Role"], row["State"]) for name, row in rows.items()} == {
        name: ("Leader", "running") if name == leader else ("Replica", "streaming") for name in cluster.nodes
    }


def test_its_change_of_the_configuration_reaches_the_members(cluster: Cluster, patronictl: Ctl) -> None:
    assert "Configuration changed" in patronictl("edit-config", "-p", "work_mem=9MB", "--force")
    for node in cluster.nodes.values():
        cluster.wait_for(lambda node=node: node.query("SHOW work_mem") == [("9MB",)], f"work_mem on {node.name}")  # type: ignore[misc]
    assert "work_mem: 9MB" in patronictl("show-config")


def test_its_switchover_moves_the_leader_and_the_labels_follow(
    cluster: Cluster, patronictl: Ctl, on_kubernetes: tuple[Cluster, KubernetesAtWork]
) -> None:
    leader, (candidate, _) = cluster.the_leader(), cluster.others(cluster.the_leader())
    said = patronictl("switchover", "--leader", leader.name, "--candidate", candidate.name, "--force")
    assert f'Successfully switched over to "{candidate.name}"' in said
    assert cluster.wait_ready() is candidate
    kubernetes = on_kubernetes[1].kubernetes

    def roles() -> dict[str, str]:
        pods = kubernetes.ask("GET", kubernetes.path("Pod", namespace=NAMESPACE))["items"]
        return {pod["metadata"]["name"]: pod["metadata"]["labels"].get("role") for pod in pods}

    wanted = {name: "primary" if name == candidate.name else "replica" for name in cluster.nodes}
    cluster.wait_for(lambda: roles() == wanted, f"labels {wanted}")
