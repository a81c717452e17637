"""What clusters of tests and of the demonstration leave behind: nothing."""

from pathlib import Path

from hacore.testing.cluster import Cluster, sqlite_store


def segments() -> set[str]:
    """Numbers of the shared memory segments of this machine."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def test_a_node_that_is_destroyed_leaves_no_shared_memory(scratch: Path) -> None:
    with Cluster(scratch, store=sqlite_store(scratch), nodes=1) as cluster:
        node = cluster.wait_ready()
        number = (node.data_dir / "postmaster.pid").read_text().splitlines()[6].split()[1]
        assert number in segments()
        node.destroy()
        assert number not in segments()
        node.start()
        assert cluster.wait_ready() is node
