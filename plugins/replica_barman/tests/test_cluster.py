"""Whole clusters: WAL goes to Barman, backups are made by it, standbys are made of them, and Barman follows a failover."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hacore.hookspecs import ArchiveRequest, BackupSite, RestoreRequest
from hacore.interfaces import Backup, Identity, Restored
from hacore.postgres.job import JobHandle
from hacore.testing.barman import BarmanHost, Sshd
from hacore.testing.cluster import PASSWORD, Cluster, ClusterNode, sqlite_store
from hacore.testing.conformance.plugin import CONTEXT
from hacore.testing.ports import Ports
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.schema import BarmanSchema
from plugins.replica_barman.tests.restoring import restore_command

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]  # a whole site with Barman is brought up at each change: tests/sites

HACORE = Path(sys.executable).with_name("hacore")
PATIENCE_S = 300.0


@dataclass(kw_only=True)
class World:
    """Nodes that are not started yet, and Barman that receives WAL from whichever is primary."""

    cluster: Cluster
    barman: BarmanHost
    section: dict[str, Any]


@pytest.fixture
def world(sshd: Sshd, scratch: Path) -> Iterator[World]:
    barman = BarmanHost(scratch, sshd, conninfo="", streaming=True)
    section = barman.section(threshold_backup_size_percentage=1000, slot="barman")
    local = {
        "archive": "barman",
        "backup": {"plugin": "barman"},
        "plugins": {"barman": section},
        "postgresql": {"create_replica_methods": ["barman", "basebackup"]},
    }
    cluster = Cluster(scratch, store=sqlite_store(scratch), nodes=3, local={"*": local}, start=False)
    try:
        nodes = list(cluster.nodes.values())
        hosts, ports = ",".join("127.0.0.1" for _ in nodes), ",".join(str(node.pg_port) for node in nodes)
        barman.conninfo = f"host={hosts} port={ports} user=postgres password={PASSWORD} dbname=postgres target_session_attrs=read-write"
        with barman:
            yield World(cluster=cluster, barman=barman, section=section)
    finally:
        cluster.close()


def hacore(node: ClusterNode, *words: str) -> str:
    """Run ``hacore`` on a node, and return what it printed."""
    done = subprocess.run([str(HACORE), "-c", str(node.config), *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made_by(node: ClusterNode) -> str:
    """The label of the backup that a node was made of."""
    return (node.data_dir / "backup_label.old").read_text()


def is_archiving(node: ClusterNode) -> bool:
    archive: dict[str, Any] = node.status().get("hacore", {}).get("archive", {})
    return archive.get("identity") in {"own", "empty"} and not archive.get("fault")


def fill(node: ClusterNode, first: int, last: int) -> None:
    node.query(f"INSERT INTO public.one SELECT generate_series({first}, {last})")


def archived(world: World, node: ClusterNode) -> str:
    """Fill a segment and wait until Barman has filed it away."""
    ((name,),) = node.query("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    node.query("SELECT pg_logical_emit_message(true, 'test', 'something to write')")
    node.query("SELECT pg_switch_wal()")
    path = world.barman.server_directory / "wals" / name[:16] / name
    wait_for(path.exists, f"{name} is filed away", deadline_s=PATIENCE_S)
    return str(name)


def receives(node: ClusterNode) -> bool:
    return node.query("SELECT active FROM pg_replication_slots WHERE slot_name = 'barman'") == [(True,)]


def begins_at(world: World, backup: str) -> str:
    """Where a backup begins, as Barman itself has noted."""
    lines = (world.barman.server_directory / "base" / backup / "backup.info").read_text().splitlines()
    return next(line.removeprefix("begin_xlog=") for line in lines if line.startswith("begin_xlog="))


def restored(world: World, scratch: Path, backup: str) -> PlainServer:
    """A server of a backup that has everything which Barman has received, on the newest timeline."""
    home = scratch / "restored"
    home.mkdir(mode=0o700)
    give_away(home)
    plugin = BarmanPlugin(BarmanSchema().load(world.section))
    with Ports() as ports:
        server = PlainServer(home, ports.take())
    request = RestoreRequest(
        site=BackupSite(context=CONTEXT, environment={"PATH": os.defpath}), backup=Backup(id=backup), data_dir=str(server.data)
    )
    server.data.mkdir(mode=0o700)
    give_away(server.data)
    assert plugin.hacore_restore(request, JobHandle()) == Restored()
    identity = Identity(system_id="0", major_version=15, scope="demo")
    settings = plugin.hacore_archive_settings(ArchiveRequest(context=CONTEXT, identity=identity, data_dir=str(server.data)))
    server.configure(
        {
            "port": str(server.port),
            "unix_socket_directories": str(home),
            "listen_addresses": "",
            "archive_mode": "off",
            "restore_command": restore_command(settings, home),
            "recovery_target_timeline": "latest",
        }
    )
    (server.data / "pg_hba.conf").write_text("local all all trust\n")
    (server.data / "recovery.signal").touch()
    give_away(server.data / "recovery.signal")
    server.start()
    return server


def test_standbys_are_made_of_backups_barman_follows_a_failover_and_nothing_is_lost_on_the_way(world: World, scratch: Path) -> None:
    cluster = world.cluster
    first, second, third = cluster.nodes.values()
    first.start()
    cluster.wait_for(lambda: is_archiving(first), "WAL is archived", PATIENCE_S)
    cluster.wait_for(lambda: receives(first), "Barman receives WAL", PATIENCE_S)
    first.query("CREATE TABLE public.one (number int)")
    fill(first, 1, 1000)
    archived(world, first)
    hacore(first, "backup", "run")
    (row,) = json.loads(hacore(first, "backup", "list", "-f", "json"))
    fill(first, 1001, 2000)

    second.start()
    cluster.wait_ready([first, second], deadline_s=PATIENCE_S)
    assert f"START WAL LOCATION: {begins_at(world, row['Backup'])} " in made_by(second)
    cluster.wait_for(lambda: count(second) == 2000, "the standby has everything")
    assert [path.name for path in second.data_dir.iterdir() if path.suffix == ".origin" or "barman" in path.name] == []
    assert "archive_command" not in (second.data_dir / "postgresql.auto.conf").read_text()

    world.barman.sshd.stop()
    third.start()
    cluster.wait_ready(deadline_s=PATIENCE_S)
    world.barman.sshd.start()
    assert f"START WAL LOCATION: {begins_at(world, row['Backup'])} " not in made_by(third)
    cluster.wait_for(lambda: count(third) == 2000, "this one has everything, too")

    # A timeline that ends with a segment is what pg_receivewal cannot follow: docs/integrations/barman.md.
    fill(first, 2001, 2500)
    cluster.wait_for(lambda: count(second) == count(third) == 2500, "both have what lies behind the beginning of a segment")
    first.destroy()
    leader = cluster.the_leader(other_than=first.name, deadline_s=PATIENCE_S)
    cluster.wait_for(lambda: receives(leader), "Barman follows", PATIENCE_S)
    fill(leader, 2501, 3000)
    archived(world, leader)
    server = restored(world, scratch, row["Backup"])
    try:
        wait_for(lambda: server.query("SELECT NOT pg_is_in_recovery()") == [(True,)], "the restore has ended", deadline_s=PATIENCE_S)
        assert server.query("SELECT count(*), max(number) FROM public.one") == [(3000, 3000)]
    finally:
        server.close()


def count(node: ClusterNode) -> int:
    ((found,),) = node.query("SELECT count(*) FROM public.one")
    return int(found)
