"""A whole cluster on the table: it comes up from nothing, loses the machine of its primary, and is whole again."""

from collections.abc import Iterator

import pytest

from hacore.testing.cluster import Cluster
from hacore.testing.history import WriteLoad, boot_s
from hacore.testing.workdir import work_directory
from table_server import TableServer, serving


@pytest.fixture(scope="module")
def server() -> Iterator[TableServer]:
    with serving() as one:
        yield one


@pytest.mark.timeout(300)
def test_a_cluster_survives_the_loss_of_its_primary(server: TableServer) -> None:
    with work_directory("pgtable-cluster-") as directory, Cluster(directory.path, store=server.section()) as cluster:
        first = cluster.wait_ready()
        load = WriteLoad(cluster.dsns).start()
        cluster.wait_for(lambda: load.progress().acknowledged >= 20, "rows")
        lost_at = boot_s()
        first.kill("everything")
        second = cluster.the_leader(other_than=first.name)
        before = load.progress().acknowledged
        cluster.wait_for(lambda: load.progress().acknowledged >= before + 20, "further rows")
        first.start()
        cluster.wait_ready()
        report = load.stop()
        assert report.overlaps == ()
        assert report.acks.keys() == {first.name, second.name}
        gap_ms = report.gap_ms(lost_at)
        assert gap_ms is not None
        print(f"without a primary for {gap_ms:.0f} ms")
