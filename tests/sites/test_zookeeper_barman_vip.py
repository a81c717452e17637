"""ZooKeeper, Barman, and an address that is where the leader is."""

from collections.abc import Callable

import pytest

from tests.sites.machines import Machines
from tests.sites.story import Site

ADDRESS = "10.77.0.100"


@pytest.mark.timeout(1800)
def test_switchover_loss_of_the_primary_a_standby_made_of_a_backup_and_back_to_a_point_in_time(site: Callable[[str], Machines]) -> None:
    machines = site("zookeeper-barman-vip")
    it = Site(machines, f"host={ADDRESS} port=5432 dbname=postgres user=postgres password=change-me connect_timeout=3")
    it.begin()
    try:
        it.hacore("backup", "run")
        it.switch_over()
        lost = it.lose_the_primary()
        it.bring_back(lost)
        it.make_anew(lost)
        assert "replica created method=barman" in machines.log_of(lost)
    finally:
        it.load.stop()
    it.lose_nothing_and_go_back()
