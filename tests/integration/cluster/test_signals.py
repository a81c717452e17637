"""A shell has what it puts in the background ignore INT and QUIT, by which PostgreSQL is stopped. What hacore starts heeds them."""

import signal
from pathlib import Path

from hacore.testing.capabilities import with_only
from tests.integration.cluster.passing_on import PassingOn

IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD)
BACKGROUND = ("env", f"--ignore-signal={','.join(one.name.removeprefix('SIG') for one in IGNORED)}", "--block-signal=TERM,QUIT")


def test_a_node_that_was_started_in_the_background_starts_programs_that_can_be_stopped(cluster_directory: Path) -> None:
    passing_on = PassingOn(cluster_directory, (*with_only(()), *BACKGROUND))
    with passing_on.cluster as cluster:
        node = cluster.wait_ready()
        assert deaf_to(passing_on.of_callback()) == set()
        for pid in (node.pid("agent"), node.pid("rest"), node.pid("postmaster")):
            assert deaf_to(Path(f"/proc/{pid}/status").read_text()) == set()
        assert deaf_to(passing_on.of_sql(node)) == set()
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
