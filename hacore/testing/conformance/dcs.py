# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for stores. A plugin's test subclasses :class:`DcsConformance` and says, by one fixture, which running store to try.

    class TestThreeMembers(DcsConformance, NetworkConformance, SeveralServersConformance):
        @pytest.fixture(scope="class")
        def store(self) -> Iterator[StoreUnderTest]:
            with ... as server:
                yield StoreUnderTest(plugin=EtcdPlugin, settings=..., faults=..., network=..., servers=...)

It passes on the real thing only: every fault is made outside of the plugin. No test is skipped: what a store cannot do it declares
(``hacore_dcs_capabilities``), and a class is made of the parts that hold for it. docs/reference/dcs.md has the whole list.
"""

from hacore.interfaces import DcsCapabilities
from hacore.testing.conformance.dcs_faults import FaultConformance
from hacore.testing.conformance.dcs_lock import LockConformance
from hacore.testing.conformance.dcs_network import NetworkConformance
from hacore.testing.conformance.dcs_recall import RecallConformance
from hacore.testing.conformance.dcs_records import RecordConformance
from hacore.testing.conformance.dcs_servers import SeveralServersConformance
from hacore.testing.conformance.dcs_watch import WatchConformance
from hacore.testing.conformance.store import DcsFaults, NetworkFaults, ServerFaults, StoreUnderTest

__all__ = [
    "DcsConformance",
    "DcsFaults",
    "NetworkConformance",
    "NetworkFaults",
    "ServerFaults",
    "SeveralServersConformance",
    "StoreUnderTest",
]


class DcsConformance(LockConformance, RecordConformance, RecallConformance, WatchConformance, FaultConformance):
    """Everything that the core rests on, whatever the store."""

    def test_it_is_tried_with_all_that_it_declares(self, capabilities: DcsCapabilities) -> None:
        assert isinstance(self, NetworkConformance) == capabilities.networked
