"""etcd, WAL-G, and a central HAProxy that the agents tell who leads."""

from collections.abc import Callable

import pytest

from tests.sites.machines import Machines
from tests.sites.story import Site


@pytest.mark.timeout(1800)
def test_switchover_loss_of_the_primary_a_standby_made_of_a_backup_and_back_to_a_point_in_time(site: Callable[[str], Machines]) -> None:
    machines = site("etcd-walg-haproxy")
    it = Site(machines, f"host={machines.address('proxy')} port=5000 dbname=postgres user=postgres password=change-me connect_timeout=3")
    it.begin()
    try:
        it.hacore("backup", "run")
        assert "base_" in it.hacore("backup", "list")
        it.switch_over()
        moved = it.load.take()
        assert moved.longest_gap_s < 10.0
        lost = it.lose_the_primary()
        it.bring_back(lost)
        it.make_anew(lost)
        assert "replica created method=walg" in machines.log_of(lost)
    finally:
        it.load.stop()
    it.lose_nothing_and_go_back()
