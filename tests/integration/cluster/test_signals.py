"""A shell has what it puts in the background ignore INT and QUIT, by which PostgreSQL is stopped. What hacore starts heeds them."""

import signal
from pathlib import Path

from hacore.testing.capabilities import with_only
from hacore.testing.cluster import Cluster, sqlite_store
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away

IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD)
BACKGROUND = ("env", f"--ignore-signal={','.join(one.name.removeprefix('SIG') for one in IGNORED)}", "--block-signal=TERM,QUIT")


def test_a_node_that_was_started_in_the_background_starts_programs_that_can_be_stopped(cluster_directory: Path) -> None:
    script, seen = cluster_directory / "callback", cluster_directory / "seen"
    script.write_text(f"#!/bin/sh\ncat /proc/self/status > {seen}.new && mv {seen}.new {seen}\n")
    script.chmod(0o755)
    give_away(script)
    cluster = Cluster(
        cluster_directory,
        store=sqlite_store(cluster_directory),
        nodes=1,
        local={"*": {"postgresql": {"callbacks": {"on_start": str(script)}}}},
        launchers={"n1": (*with_only(()), *BACKGROUND)},
    )
    with cluster:
        node = cluster.wait_ready()
        wait_for(seen.exists, "the callback ran")
        assert deaf_to(seen.read_text()) == set()
        for pid in (node.pid("agent"), node.pid("rest"), node.pid("postmaster")):
            assert deaf_to(Path(f"/proc/{pid}/status").read_text()) == set()
        shell = f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; cat /proc/self/status > {seen}.copy'"
        node.query(shell)
        assert deaf_to(Path(f"{seen}.copy").read_text()) == set()
        before = node.pid("postmaster")
        node.kill("postmaster", signal.SIGQUIT)
        node.wait_for_another("postmaster", than=before)
        cluster.wait_ready()
        assert node.end() == 0
        assert node.server_pids() == []


def deaf_to(status: str) -> set[signal.Signals]:
    """Which of these signals a process ignores or blocks."""
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn:", "SigBlk:"))]
    return {one for one in (*IGNORED, signal.SIGTERM) if any(mask >> (one - 1) & 1 for mask in masks)}
