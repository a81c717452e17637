"""A service manager gives an unprivileged agent capabilities for its plugins. Nothing else gets them, PostgreSQL least of all."""

from pathlib import Path

from hacore.testing.capabilities import NET_ADMIN, NET_RAW, capabilities_of, read_capabilities, with_only
from tests.integration.cluster.passing_on import PassingOn

GRANTED = frozenset({NET_ADMIN, NET_RAW})


def test_capabilities_reach_the_agent_and_no_program_that_anybody_starts(cluster_directory: Path) -> None:
    passing_on = PassingOn(cluster_directory, with_only(GRANTED))
    with passing_on.cluster as cluster:
        node = cluster.wait_ready()
        assert Path(f"/proc/{node.pid('agent')}").stat().st_uid != 0
        assert capabilities_of(node.pid("main")) == GRANTED  # it starts the agent again
        assert capabilities_of(node.pid("agent")) == GRANTED
        assert capabilities_of(node.pid("agent"), "CapAmb") == frozenset()
        for pid in [node.pid("guard"), node.pid("rest"), *node.server_pids()]:
            for kind in ("CapEff", "CapPrm", "CapAmb"):
                assert capabilities_of(pid, kind) == frozenset(), (kind, Path(f"/proc/{pid}/cmdline").read_bytes())
        assert read_capabilities(passing_on.of_callback(), "CapPrm") == frozenset()
        assert read_capabilities(passing_on.of_sql(node), "CapPrm") == frozenset()
        agent = node.pid("agent")
        node.kill("agent")
        assert capabilities_of(node.wait_for_another("agent", than=agent)) == GRANTED
