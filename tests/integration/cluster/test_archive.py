"""Whole clusters with an archive of WAL: what goes there, what comes back, and what an archive that is away may not hold up."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hacore.publish.journal import read_journal
from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from hacore.testing.history import boot_s
from tests.chaos.judging import TTL_S
from tests.integration.plugins.archive_in_a_directory import NAME, DirectoryArchive, install_distribution

SWITCHOVER_S = 30.0  # and an archive that hangs does so for hours

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def store(cluster_directory: Path) -> DirectoryArchive:
    return DirectoryArchive(cluster_directory)


@contextmanager
def archived(directory: Path, store: DirectoryArchive, *, nodes: int = 2, **dynamic: Any) -> Iterator[Cluster]:
    """Run a cluster whose nodes have the plugin installed."""
    site = str(install_distribution(directory / "site"))
    local = {"*": {"archive": NAME, "plugins": {NAME: store.section}}}
    cluster = Cluster(directory, store=sqlite_store(directory), nodes=nodes, dynamic=dynamic, local=local, start=False)
    with cluster:
        for node in cluster.nodes.values():
            node.environment = {"PYTHONPATH": site}
        cluster.start()
        cluster.wait_ready()
        yield cluster


def switch_wal(node: ClusterNode) -> str:
    """Fill a segment with something, begin the next, and return the name of the one that is full."""
    node.query("CREATE TABLE IF NOT EXISTS public.t (x int)")
    node.query("INSERT INTO public.t SELECT generate_series(1, 100)")
    return str(node.query("SELECT pg_walfile_name(pg_switch_wal())")[0][0])


def archive_of(node: ClusterNode) -> dict[str, Any]:
    found: dict[str, Any] = node.status().get("hacore", {}).get("archive", {})
    return found


def is_own(node: ClusterNode) -> bool:
    return archive_of(node).get("identity") == "own"


def test_the_wal_of_a_cluster_is_archived_once_the_archive_is_known_to_be_its_own(cluster_directory: Path, store: DirectoryArchive) -> None:
    with archived(cluster_directory, store) as cluster:
        leader = cluster.the_leader()
        cluster.wait_for(lambda: is_own(leader), "the archive is its own")
        full = switch_wal(leader)
        cluster.wait_for(lambda: full in store.names(), "the segment is archived")
        shown = dict(leader.query("SELECT name, setting FROM pg_settings WHERE name ~ '^archive|^restore_command'"))
        assert (shown["archive_mode"], shown["archive_timeout"]) == ("on", "17")
        assert "secret" not in str(shown)
        assert shown["archive_command"].startswith("exec ")
        assert not leader.status().get("pending_restart")
        cluster.wait_for(lambda: not archive_of(leader).get("ready_files", 1), "nothing waits")


def events_of(node: ClusterNode) -> list[str]:
    return [str(event.kind) for event in read_journal(node.state_dir) if event.kind.value.startswith("archive")]


def test_another_cluster_s_archive_gets_nothing_and_everybody_is_told_until_it_is_mended(
    cluster_directory: Path, store: DirectoryArchive
) -> None:
    store.say("owner", "7/15/other\n")
    with archived(cluster_directory, store, nodes=1) as cluster:
        node = cluster.the_leader()
        cluster.wait_for(lambda: archive_of(node).get("identity") == "conflict", "the conflict is seen")
        full = switch_wal(node)
        assert archive_of(node)["owner"] == "7/15/other"
        cluster.wait_for(lambda: "archive_conflict" in events_of(node), "the journal tells it")
        cluster.wait_for(lambda: "hacore_archive_conflict" in node.rest("/metrics").text, "a metric tells it")
        cluster.wait_for(lambda: "7/15/other" in listed(node), "the list tells it")
        cluster.wait_for(lambda: node.query("SELECT failed_count > 0 FROM pg_stat_archiver")[0][0], "PostgreSQL has tried")
        assert store.names() == []
        (store.root / "owner").unlink()
        cluster.wait_for(lambda: full in store.names(), "what waited is pushed")
        cluster.wait_for(lambda: "archive_recovered" in events_of(node), "the journal tells it")
        cluster.wait_for(lambda: "7/15/other" not in listed(node), "the list tells it")


def listed(node: ClusterNode) -> str:
    argv = (sys.executable, "-c", "from hacore.cli.main import main; main()", "-c", str(node.config), "list")
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **node.environment}).stdout


def test_an_archive_that_hangs_delays_no_renewal_and_no_switchover(cluster_directory: Path, store: DirectoryArchive) -> None:
    store.say("hang")
    with archived(cluster_directory, store) as cluster:
        leader = cluster.the_leader()
        token = leader.status()["hacore"]["token"]
        for _ in range(3):
            switch_wal(leader)
        cluster.wait_for(lambda: archive_of(leader).get("identity") == "unanswered", "it was asked in vain")
        cluster.wait_for(lambda: "archive_failing" in events_of(leader), "the journal tells it")
        assert leader.status()["hacore"]["token"] == token
        assert metric(leader, "hacore_loop_duration_seconds") < TTL_S
        assert metric(leader, "hacore_fences") == 0
        asked_at = boot_s()
        reply = cluster.switchover()
        assert reply.status == 200, reply.text
        assert boot_s() - asked_at < SWITCHOVER_S
        new = cluster.the_leader(other_than=leader.name)
        cluster.wait_ready()
        switch_wal(new)
        store.mend()
        cluster.wait_for(lambda: is_own(new), "it answers again")
        full = switch_wal(new)
        cluster.wait_for(lambda: full in store.names(), "it is pushed")


def metric(node: ClusterNode, name: str) -> float:
    values = dict(line.rpartition(" ")[::2] for line in node.rest("/metrics").text.splitlines() if not line.startswith("#"))
    return next(float(value) for key, value in values.items() if key.partition("{")[0] == name)


def numbers(names: list[str]) -> list[int]:
    """Segments of 16 MB, counted."""
    return [int(name[8:16], 16) * 256 + int(name[16:24], 16) for name in names]


def test_a_failover_with_wal_that_was_not_archived_leaves_no_gap_in_the_archive(cluster_directory: Path, store: DirectoryArchive) -> None:
    with archived(cluster_directory, store) as cluster:
        old = cluster.the_leader()
        cluster.wait_for(lambda: is_own(old), "the archive is its own")
        first = switch_wal(old)
        cluster.wait_for(lambda: first in store.names(), "it is pushed")
        store.say("broken")
        kept = [switch_wal(old) for _ in range(3)]
        new = cluster.others(old)[0]
        position = old.query("SELECT pg_current_wal_lsn()")[0][0]
        cluster.wait_for(lambda: new.query("SELECT pg_last_wal_replay_lsn() >= %s", (position,))[0][0], "the standby has it all")
        old.kill("everything")
        store.mend()
        assert cluster.the_leader(other_than=old.name) is new
        cluster.wait_for(lambda: is_own(new), "the new leader has asked")
        assert not set(kept) & set(store.names()), "nobody else has them"
        old.start()
        assert cluster.wait_ready() is new
        full = switch_wal(new)
        cluster.wait_for(lambda: full in store.names(), "it is pushed")
        assert set(kept) <= set(store.names())
        before, after = numbers(store.segments(1)), numbers(store.segments(2))
        assert before == list(range(before[0], before[0] + len(before))), "no gap on the first timeline"
        assert after == list(range(after[0], after[0] + len(after))), "nor on the second"
        assert after[0] <= before[-1] + 1, "nor between them"
        assert "00000002.history" in store.names()


def test_a_switchover_does_not_wait_for_what_the_archiver_has_still_to_push(cluster_directory: Path, store: DirectoryArchive) -> None:
    with archived(cluster_directory, store) as cluster:
        old = cluster.the_leader()
        cluster.wait_for(lambda: is_own(old), "the archive is its own")
        store.say("slow", "6")
        full = [switch_wal(old) for _ in range(4)]
        (postmaster,) = old.pids("postmaster")
        asked_at = boot_s()
        assert cluster.switchover().status == 200
        new = cluster.the_leader(other_than=old.name)
        took_s = boot_s() - asked_at
        assert old.pids("postmaster") == [postmaster], f"after {took_s:.1f} s the old server still pushes"
        cluster.wait_for(lambda: not new.query("SELECT pg_is_in_recovery()")[0][0], "it takes writes")
        assert old.pids("postmaster") == [postmaster], "meanwhile, too"
        new.query("CREATE TABLE public.written_meanwhile ()")
        cluster.wait_for(lambda: set(full) <= set(store.names()), "all are pushed")
        cluster.wait_ready()


def test_a_switchover_is_warned_of_while_a_command_of_ones_own_fails(cluster_directory: Path) -> None:
    parameters = {"archive_mode": "on", "archive_command": "echo no bucket >&2; exit 1"}
    dynamic = {"postgresql": {"parameters": parameters}}
    with Cluster(cluster_directory, store=sqlite_store(cluster_directory), nodes=2, dynamic=dynamic) as cluster:
        leader = cluster.wait_ready()
        switch_wal(leader)
        cluster.wait_for(lambda: "push of" in str(archive_of(leader).get("fault")), "the failure lasts")
        cluster.wait_for(lambda: "hacore_archive_failing{" in leader.rest("/metrics").text, "it is in the metrics")

        def hacore(*words: str) -> subprocess.CompletedProcess[str]:
            command = [str(Path(sys.executable).with_name("hacore")), "-c", str(leader.config), *words]
            return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

        cluster.wait_for(lambda: f"Archive of {leader.name}: push of" in hacore("list").stdout, "it is in the list")
        done = hacore("switchover", "--force")
        assert done.returncode == 0, done.stderr
        assert f"Warning: WAL of {leader.name} is not archived (push of " in done.stderr
        assert "Successfully switched over" in done.stdout
