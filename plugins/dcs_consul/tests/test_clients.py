"""A whole cluster on Consul, as the field's own clients see it: patronictl, vip-manager, service discovery by DNS."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterator

import pytest
import yaml

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.conformance.store import eventually
from hacore.testing.consul import Consul
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user, work_directory

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("clients of consul")]
ADDRESS = "198.51.100.77"  # for documentation: routed nowhere


@pytest.fixture(scope="module")
def consul() -> Iterator[Consul]:
    with work_directory("consul-") as directory, Consul(directory.path) as server:
        yield server


@pytest.fixture(scope="module")
def running(consul: Consul, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    section = {"consul": {"host": consul.servers[0].endpoint, "register_service": True, "service_check_interval": "1s"}}
    with (
        work_directory("consul-nodes-", session=request.session) as directory,
        Cluster(directory.path, store=section, nodes=2, dynamic={"ttl": 20, "loop_wait": 2, "retry_timeout": 3}) as cluster,
    ):
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    running.wait_ready()
    return running


def test_patronictl_lists_the_cluster_and_switches_it_over(cluster: Cluster) -> None:
    def patronictl(*arguments: str) -> str:
        command = [str(locate("patroni").program("patronictl")), "-c", str(cluster["n1"].config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=cluster.directory)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    leader = cluster.the_leader()
    [replica] = cluster.others(leader)
    rows = {row["Member"]: (row["Role"], row["State"], row["Host"]) for row in json.loads(patronictl("list", "-f", "json"))}
    assert rows == {
        leader.name: ("Leader", "running", f"127.0.0.1:{leader.pg_port}"),
        replica.name: ("Replica", "streaming", f"127.0.0.1:{replica.pg_port}"),
    }
    assert "Successfully switched over" in patronictl("switchover", "--leader", leader.name, "--candidate", replica.name, "--force")
    assert cluster.wait_ready() is replica
    assert "Configuration changed" in patronictl("edit-config", "-p", "work_mem=9MB", "--force")
    for node in cluster.nodes.values():
        eventually(lambda node=node: node.query("SHOW work_mem") == [("9MB",)])  # type: ignore[misc]


@contextlib.contextmanager
def run_by_patroni(node: ClusterNode) -> Iterator[None]:
    """Patroni in the place of hacore, with the same file."""
    node.end()
    user = server_user()
    with (node.directory / f"{node.name}.patroni.log").open("ab") as log:
        process = subprocess.Popen(
            [str(locate("patroni").program("patroni")), str(node.config)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user, group=user, cwd=node.directory,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)
    node.start()


def test_a_member_may_be_run_by_patroni_and_lead(cluster: Cluster, consul: Consul) -> None:
    leader = cluster.the_leader()
    [other] = cluster.others(leader)
    with run_by_patroni(other):
        assert cluster.wait_ready() is leader
        assert cluster.switchover(candidate=other.name).status == 200
        assert cluster.wait_ready() is other
        [key] = consul.ask("kv/service/demo/leader")
        [session] = consul.ask(f"session/info/{key['Session']}")
        assert session["Name"] == f"demo-{other.name}"
    cluster.wait_ready()


def ports_in_dns(consul: Consul, name: str) -> list[int]:
    """Ask Consul's name server for SRV records."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 33, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3.0)
        asking.sendto(question, ("127.0.0.1", consul.servers[0].ports["dns"]))
        answer = asking.recv(4096)
    found, place = [], len(question)
    for _ in range(struct.unpack_from(">H", answer, 6)[0]):
        place = _after_name(answer, place)
        kind, _, _, length = struct.unpack_from(">HHIH", answer, place)
        if kind == 33:
            found.append(struct.unpack_from(">HHH", answer, place + 10)[2])
        place += 10 + length
    return sorted(found)


def _after_name(answer: bytes, place: int) -> int:
    while answer[place]:
        if answer[place] >= 0xC0:
            return place + 2
        place += answer[place] + 1
    return place + 1


def test_the_name_server_knows_primary_and_replica_and_follows_a_switchover(cluster: Cluster, consul: Consul) -> None:
    leader = cluster.the_leader()
    [replica] = cluster.others(leader)
    eventually(lambda: ports_in_dns(consul, "primary.demo.service.consul") == [leader.pg_port])
    eventually(lambda: ports_in_dns(consul, "replica.demo.service.consul") == [replica.pg_port])
    assert cluster.switchover(candidate=replica.name).status == 200
    eventually(lambda: ports_in_dns(consul, "primary.demo.service.consul") == [replica.pg_port])
    cluster.wait_ready()
    eventually(lambda: ports_in_dns(consul, "replica.demo.service.consul") == [leader.pg_port])


def has_address(interface: str) -> bool:
    shown = subprocess.run(["ip", "-json", "addr", "show", "dev", interface], capture_output=True, check=True, timeout=10).stdout
    return any(address["local"] == ADDRESS for one in json.loads(shown) for address in one.get("addr_info", []))


@contextlib.contextmanager
def network_interface() -> Iterator[str]:
    """An interface of its own, connected with nothing but its other end."""
    name = f"hc{uuid.uuid4().hex[:8]}"
    as_root("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    try:
        for end in (name, f"{name}p"):
            as_root("ip", "link", "set", end, "up")
        yield name
    finally:
        as_root("ip", "link", "del", name)


def as_root(*command: str) -> None:
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*prefix, *command], check=True, timeout=20)


@contextlib.contextmanager
def vip_manager(consul: Consul, member: str, interface: str) -> Iterator[None]:
    """It puts the address on the interface while the member is the leader, with the configuration that its manual shows."""
    settings = {
        "interval": 200,
        "trigger-key": "service/demo/leader",
        "trigger-value": member,
        "ip": ADDRESS,
        "netmask": 32,
        "interface": interface,
        "hosting-type": "basic",
        "dcs-type": "consul",
        "dcs-endpoints": consul.servers[0].url,
    }
    path = consul.directory / f"vip-{member}.yml"
    path.write_text(yaml.safe_dump(settings))
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    with path.with_suffix(".log").open("ab") as log:
        program = str(locate("vip-manager").program("vip-manager"))
        process = subprocess.Popen([*prefix, program, f"--config={path}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        as_root("kill", str(process.pid))
        process.wait(20)


def test_vip_manager_moves_the_address_with_the_leader(cluster: Cluster, consul: Consul) -> None:
    with contextlib.ExitStack() as stack:
        interfaces = {name: stack.enter_context(network_interface()) for name in cluster.nodes}
        for name, interface in interfaces.items():
            stack.enter_context(vip_manager(consul, name, interface))

        def holders() -> list[str]:
            return [name for name, interface in interfaces.items() if has_address(interface)]

        leader = cluster.the_leader()
        [replica] = cluster.others(leader)
        eventually(lambda: holders() == [leader.name])
        assert cluster.switchover(candidate=replica.name).status == 200
        eventually(lambda: holders() == [replica.name])
        cluster.wait_ready()
        replica.kill("everything")
        eventually(lambda: holders() == [leader.name], within_s=60.0)
        replica.start()
        cluster.wait_ready()
