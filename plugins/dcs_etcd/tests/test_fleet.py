"""Many agents on one etcd: the real loop and the real client, around servers of paper. Its large sister is ``python -m bench.fleet``."""

import time
from pathlib import Path

import pytest

from hacore.model.clock import BootClock
from hacore.model.policy import Times
from hacore.testing.conformance.store import eventually
from hacore.testing.etcd import Etcd
from hacore.testing.fleet import Fleet
from hacore_dcs_etcd.plugin import EtcdPlugin
from plugins.dcs_etcd.tests.served import calls, settings_of

CLUSTERS = [f"c{number}" for number in range(12)]
MEMBERS = 3
TIMES = Times(ttl_s=6.0, loop_wait_s=2.0, retry_timeout_s=2.0)
TURNS = 8  # of each agent, while it is looked at


@pytest.mark.parametrize("bytes_per_s", [0.0, 50_000.0], ids=["at rest", "writing"])
def test_no_renewal_is_late_and_nothing_is_asked_without_need(scratch: Path, bytes_per_s: float) -> None:
    fleet = Fleet(EtcdPlugin, None, times=TIMES, bytes_per_s=bytes_per_s)
    with Etcd(scratch) as etcd:
        fleet.settings = settings_of(etcd)
        with fleet.running(CLUSTERS, members=MEMBERS):
            eventually(lambda: fleet.leaders() == CLUSTERS, within_s=40.0)
            time.sleep(2 * TIMES.loop_wait_s)
            since, before, led = BootClock().now(), calls(etcd), fleet.log.holders()
            time.sleep(TURNS * TIMES.loop_wait_s)
            spent = {name: count - before.get(name, 0) for name, count in calls(etcd).items()}
            gaps_s = fleet.log.gaps_s(since)
            assert len(gaps_s) >= len(CLUSTERS) * (TURNS - 2)
            assert max(gaps_s) < 2 * TIMES.loop_wait_s
            assert fleet.log.failures == []
            assert fleet.log.holders() == led
    turns, standbys = len(CLUSTERS) * (TURNS + 1), len(CLUSTERS) * (MEMBERS - 1) * (TURNS + 1)
    assert spent["Txn"] <= turns
    assert spent["LeaseKeepAlive"] <= turns + 0.6 * standbys  # a standby's in every second turn
    assert spent.get("Put", 0) <= (0.6 * turns + standbys if bytes_per_s else 0)  # a leader's position stands in its renewal, too
    # Other clusters write to the same etcd, so that a keep-alive confirms nothing; but the own write does, once the watch has told of it.
    assert spent.get("Range", 0) <= (0.1 if bytes_per_s else 0.6) * standbys
