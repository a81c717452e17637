"""How clusters and nodes begin: the race of three, a chain of replica methods, adoption, another boot, PostgreSQL 18, and who may not."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.history import boot_s
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away, server_user
from tests.chaos.clusters import make_store, on_all_stores, own_on_all_stores, own_on_every_store, own_on_sqlite
from tests.chaos.judging import TTL_S, writing
from tests.chaos.stores import SqliteAtWork, StoreAtWork
from tests.integration.cli.command import Command

pytestmark = pytest.mark.timeout(240)
USER = server_user()


@pytest.fixture
def own_store(kind: str, scratch: Path) -> Iterator[StoreAtWork]:
    with make_store(kind, scratch) as found:
        yield found


def run_by_hand(node: ClusterNode, program: str, *arguments: str) -> None:
    path = locate("postgresql").program(program)
    subprocess.run([str(path), *arguments], check=True, cwd="/", user=USER, group=USER, stdout=subprocess.DEVNULL, timeout=60)


def make_directory_by_hand(node: ClusterNode) -> None:
    password = node.directory / "password"
    password.write_text(node.password)
    give_away(password)
    arguments = ["-A", "scram-sha-256", "-k", "-N", "-U", "postgres", "--pwfile", str(password)]
    run_by_hand(node, "initdb", "-D", str(node.data_dir), *arguments)
    with (node.data_dir / "pg_hba.conf").open("a") as rules:
        rules.write("host replication all 127.0.0.1/32 scram-sha-256\n")


@own_on_every_store
def test_of_three_nodes_that_start_at_once_one_initializes_and_the_others_copy(own_store: StoreAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=own_store.section) as cluster:
        leader = cluster.wait_ready()
        systems = {node.query("SELECT system_identifier::text FROM pg_control_system()")[0][0] for node in cluster.nodes.values()}
        assert systems == {own_store.records()["initialize"]}
        assert sum(node.says("work begins job=bootstrap") for node in cluster.nodes.values()) == 1
        assert own_store.own()["token"] == 1
        assert own_store.own()["timeline"] == leader.query("SELECT timeline_id FROM pg_control_checkpoint()")[0][0] == 1


@own_on_sqlite
def test_the_next_replica_method_is_used_when_one_fails_and_callbacks_are_fired(own_store: StoreAtWork, scratch: Path) -> None:
    calls = scratch / "calls"
    script = scratch / "callback"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {calls}\n')
    script.chmod(0o755)
    local = {
        "postgresql": {
            "create_replica_methods": ["broken", "basebackup"],
            "broken": {"command": f"sh -c 'echo tried >> {scratch}/tried; exit 1' --"},
            "callbacks": {name: f"{script} {name}" for name in ("on_start", "on_stop", "on_restart", "on_reload", "on_role_change")},
        }
    }

    def called(*words: str) -> bool:
        return calls.exists() and f"{script} {' '.join(words)}\n" in calls.read_text()

    with Cluster(scratch, store=own_store.section, nodes=2, local={"*": local}) as cluster:
        old = cluster.wait_ready()
        [new] = cluster.others(old)
        assert (scratch / "tried").read_text() == "tried\n"
        cluster.wait_for(lambda: called("on_start", "on_start", "replica", "demo"), "on_start of the standby")
        assert cluster.switchover(candidate=new.name).status == 200
        assert cluster.wait_ready() is new
        cluster.wait_for(lambda: called("on_role_change", "on_role_change", "primary", "demo"), "on_role_change of the new primary")
        cluster.wait_for(lambda: called("on_role_change", "on_role_change", "replica", "demo"), "on_role_change of the old primary")
        assert new.rest("/restart", method="POST", body={}, timeout_s=60).status == 200
        cluster.wait_for(lambda: called("on_restart", "on_restart", "primary", "demo"), "on_restart")
        assert new.rest("/reload", method="POST").status == 202
        cluster.wait_for(lambda: called("on_reload", "on_reload", "primary", "demo"), "on_reload")
        old.end()
        cluster.wait_for(lambda: called("on_stop", "on_stop", "replica", "demo"), "on_stop")


@own_on_all_stores
def test_a_running_server_made_by_hand_is_adopted_without_a_restart(own_store: StoreAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=own_store.section, nodes=2, start=False) as cluster:
        node, other = cluster["n1"], cluster["n2"]
        make_directory_by_hand(node)
        options = f"-p {node.pg_port} -h 127.0.0.1 -k {scratch} -F -c wal_log_hints=on -c max_connections=60"
        run_by_hand(node, "pg_ctl", "start", "-w", "-D", str(node.data_dir), "-l", str(scratch / "by-hand.log"), "-o", options)
        node.query(f"CREATE USER replicator REPLICATION PASSWORD '{node.password}'")
        node.query("CREATE TABLE from_before AS SELECT 1 AS id")
        postmaster = node.pid("postmaster")
        node.start()
        cluster.wait_for(lambda: node.is_ok("/primary"), "the node leads")
        assert node.pid("postmaster") == postmaster
        assert node.status()["hacore"]["fence"] == "partial"
        cluster.wait_for(lambda: "fence: partial on n1" in Command(node.config)("list").done().out, "the list of members says so")
        other.start()
        assert cluster.wait_ready() is node
        assert other.query("SELECT id FROM from_before") == [(1,)]
        assert node.pid("postmaster") == postmaster
        node.stop("agent")
        cluster.the_leader(other_than="n1")
        assert postmaster not in node.server_pids(), "an adopted server has a deadline, too"
        cluster.wait_ready()
        assert cluster.the_leader() is other
        assert node.status()["hacore"]["fence"] == "full"


@own_on_sqlite
def test_a_standby_that_finds_nothing_of_its_cluster_waits_for_a_person(own_store: StoreAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=own_store.section, nodes=2) as cluster:
        leader = cluster.wait_ready()
        [standby] = cluster.others(leader)
        standby.end()
        shutil.rmtree(standby.state_dir)
        standby.settings["scope"] = "mistyped"
        standby.write()
        standby.start()
        cluster.wait_for(lambda: "are store, namespace and scope" in str(standby.status().get("hacore")), "it says what it misses")
        waits_since = boot_s()

        def has_waited() -> bool:
            assert not standby.is_ok("/primary")
            return boot_s() > waits_since + 3 * TTL_S

        cluster.wait_for(has_waited, "time to pass")
        assert standby.rest("/failover", method="POST", body={"candidate": standby.name}, timeout_s=60).status == 200
        cluster.wait_for(lambda: standby.is_ok("/primary"), "it leads a cluster of its own")
        assert leader.is_ok("/primary")


@own_on_sqlite
def test_a_lease_of_another_boot_has_ended(own_store: StoreAtWork, scratch: Path) -> None:
    assert isinstance(own_store, SqliteAtWork)
    with Cluster(scratch, store=own_store.section) as cluster:
        former = cluster.wait_ready()
        token = own_store.own()["token"]
        for node in cluster.nodes.values():
            node.kill("everything")
        with own_store.opened() as connection:  # what a boot leaves: other numbers of the same clock, under another name
            connection.execute("UPDATE lock SET ends_at = 1e9, boot_id = 'the boot before'")
            connection.execute("UPDATE record SET ends_at = 1e9, boot_id = 'the boot before' WHERE ends_at IS NOT NULL")
        cluster.start()
        with writing(cluster, own_store) as writes:
            cluster.wait_ready()
            writes.rows_go_on()
        writes.expect_nothing_lost()
        assert own_store.own()["token"] > token
        assert former.is_ok("/health")


@own_on_sqlite
def test_a_node_whose_state_directory_cannot_be_written_leaves_the_lead_to_another(own_store: StoreAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=own_store.section) as cluster:
        leader = cluster.wait_ready()
        full, other = cluster.others(leader)
        full.settings["tags"] = {"failover_priority": 2}  # of two that have the same it would come first
        full.write()
        full.reload()
        cluster.wait_for(lambda: "failover_priority" in str(cluster.members()[full.name]), "its tags are published")
        token = own_store.own()["token"]
        full.state_dir.chmod(0o500)
        try:
            leader.kill("everything")
            assert cluster.the_leader(other_than=leader.name) is other
            assert own_store.own()["token"] == token + 1, "nobody else took it meanwhile"
            assert "memory.json" in full.status()["hacore"]["refuses_election"]
        finally:
            full.state_dir.chmod(0o700)
        cluster.wait_for(lambda: not full.status()["hacore"].get("refuses_election"), "it is a candidate again")
        leader.start()
        assert cluster.wait_ready() is other


@own_on_sqlite
def test_a_whole_cluster_lives_on_postgresql_18(own_store: StoreAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=own_store.section, server="postgresql-18") as cluster:
        first = cluster.wait_ready()
        assert first.query("SHOW server_version")[0][0].startswith("18")
        with writing(cluster, own_store) as writes:
            assert cluster.switchover().status == 200
            second = cluster.the_leader(other_than=first.name)
            cluster.wait_ready()
            writes.rows_go_on()
        writes.expect_nothing_lost()
        with writing(cluster, own_store) as writes:
            killed_at = boot_s()
            second.kill("everything")
            cluster.the_leader(other_than=second.name)
            writes.rows_go_on()
            second.start()
            cluster.wait_ready()
        writes.expect_losses_only_of(second.name, since=killed_at)


def stranger(site_directory: Path, store: StoreAtWork, name: str) -> Cluster:
    """A node with directories and ports of its own that wants to be a member of the cluster."""
    directory = site_directory / "stranger"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    give_away(directory)
    return Cluster(directory, store=store.section, nodes=[name], start=False)


@on_all_stores
def test_a_node_with_the_name_of_a_living_one_ends_and_harms_nobody(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    known, postmaster = store.own()["token"], leader.pid("postmaster")
    with stranger(cluster.directory, store, leader.name) as other:
        node = other[leader.name]
        node.start()
        assert node.wait_end() == 1
        assert not node.data_dir.exists()
    assert (store.own()["token"], leader.pid("postmaster")) == (known, postmaster)
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_node_of_another_system_ends_and_its_data_stay_as_they_are(cluster: Cluster, store: StoreAtWork) -> None:
    leader, system = cluster.the_leader(), store.records()["initialize"]
    with stranger(cluster.directory, store, "stranger") as other:
        node = other["stranger"]
        make_directory_by_hand(node)
        before = (node.data_dir / "global" / "pg_control").read_bytes()
        node.start()
        assert node.wait_end() == 1
        assert (node.data_dir / "global" / "pg_control").read_bytes() == before
        assert node.pids("everything") == []
    assert store.records()["initialize"] == system
    cluster.wait_for(lambda: "stranger" not in cluster.members(), "its record has ended", 4 * TTL_S)
    assert cluster.wait_ready() is leader
