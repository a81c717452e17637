"""The kit for stores. A plugin's test subclasses :class:`DcsConformance` and says, by one fixture, which running store to try.

    class TestEtcd(DcsConformance):
        @pytest.fixture(scope="class")
        def store(self) -> Iterator[StoreUnderTest]:
            with ... as server:
                yield StoreUnderTest(plugin=EtcdPlugin, settings=..., faults=DcsFaults(...))

It passes on the real thing only: every fault is made outside of the plugin. docs/reference/dcs.md says what each test holds a store to.
"""

from hacore.testing.conformance.dcs_faults import FaultConformance
from hacore.testing.conformance.dcs_lock import LockConformance
from hacore.testing.conformance.dcs_records import RecordConformance
from hacore.testing.conformance.dcs_watch import WatchConformance
from hacore.testing.conformance.store import DcsFaults, StoreUnderTest

__all__ = ["DcsConformance", "DcsFaults", "StoreUnderTest"]


class DcsConformance(LockConformance, RecordConformance, WatchConformance, FaultConformance):
    """Everything that the core rests on."""
