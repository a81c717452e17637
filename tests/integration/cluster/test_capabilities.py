"""A service manager gives an unprivileged agent capabilities for its plugins. Nothing else gets them, PostgreSQL least of all."""

from pathlib import Path

from hacore.testing.capabilities import NET_ADMIN, NET_RAW, capabilities_of, read_capabilities, with_only
from hacore.testing.cluster import Cluster, sqlite_store
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away

GRANTED = frozenset({NET_ADMIN, NET_RAW})


def test_capabilities_reach_the_agent_and_no_program_that_anybody_starts(cluster_directory: Path) -> None:
    script, seen = cluster_directory / "callback", cluster_directory / "seen"
    script.write_text(f"#!/bin/sh\ncat /proc/self/status > {seen}.new && mv {seen}.new {seen}\n")
    script.chmod(0o755)
    give_away(script)
    cluster = Cluster(
        cluster_directory,
        store=sqlite_store(cluster_directory),
        nodes=1,
        local={"*": {"postgresql": {"callbacks": {"on_start": str(script)}}}},
        launchers={"n1": with_only(GRANTED)},
    )
    with cluster:
        node = cluster.wait_ready()
        assert Path(f"/proc/{node.pid('agent')}").stat().st_uid != 0
        assert capabilities_of(node.pid("main")) == GRANTED  # it starts the agent again
        assert capabilities_of(node.pid("agent")) == GRANTED
        assert capabilities_of(node.pid("agent"), "CapAmb") == frozenset()
        for pid in [node.pid("guard"), node.pid("rest"), *node.server_pids()]:
            for kind in ("CapEff", "CapPrm", "CapAmb"):
                assert capabilities_of(pid, kind) == frozenset(), (kind, Path(f"/proc/{pid}/cmdline").read_bytes())
        wait_for(seen.exists, "the callback ran")
        assert read_capabilities(seen.read_text(), "CapPrm") == frozenset()
        shell = f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; cat /proc/self/status > {seen}.copy'"
        node.query(shell)
        assert read_capabilities(Path(f"{seen}.copy").read_text(), "CapPrm") == frozenset()
        agent = node.pid("agent")
        node.kill("agent")
        assert capabilities_of(node.wait_for_another("agent", than=agent)) == GRANTED
