"""The table keeps what every store must promise."""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, DcsFaults, NetworkConformance, NetworkFaults, StoreUnderTest
from hacore.testing.faults.proxy import Fault
from hacore_dcs_pgtable.plugin import TablePlugin
from hacore_dcs_pgtable.settings import TableSettings
from table_server import PASSWORD, TableServer, serving


@pytest.fixture(scope="module")
def server() -> Iterator[TableServer]:
    with serving() as one:
        yield one


class TestTable(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, server: TableServer) -> StoreUnderTest:
        faults = DcsFaults(
            remove_lock=lambda cluster: remove_lock(server, f"hacore-kit/{cluster}"),
            remove_member=lambda cluster, name: remove_member(server, f"hacore-kit/{cluster}", name),
            stalled=server.stalled,
            save=server.save,
            restore=server.restore,
        )
        network = NetworkFaults(
            down=server.down,
            slow=lambda delay_s: server.proxy.suffering(Fault(answer_delay_s=delay_s)),
            drip=lambda: server.proxy.suffering(Fault(drip_s=0.1)),
            deaf=lambda: server.proxy.suffering(Fault(swallow_answers=True)),
        )
        settings = TableSettings(host="127.0.0.1", port=server.proxy.port, password=PASSWORD, cacert=str(server.certificate))
        return StoreUnderTest(plugin=TablePlugin, settings=settings, faults=faults, network=network)


def remove_lock(server: TableServer, cluster: str) -> None:
    server.by_hand("UPDATE hacore.lock SET holder = NULL, instance = NULL WHERE cluster = %s", cluster)


def remove_member(server: TableServer, cluster: str, name: str) -> None:
    server.by_hand("DELETE FROM hacore.record WHERE cluster = %s AND name = %s", cluster, f"members/{name}")
