"""Consul, standbys by pg_basebackup, backups beside them, and a PgBouncer beside each node."""

from collections.abc import Callable

import pytest

from tests.sites.machines import Machines
from tests.sites.story import Site


@pytest.mark.timeout(1800)
def test_no_transaction_fails_as_planned_and_no_row_is_lost_at_all(site: Callable[[str], Machines]) -> None:
    machines = site("consul-basebackup-pgbouncer")
    hosts = ",".join(machines.address(name) for name in ("db1", "db2", "db3"))
    it = Site(machines, f"host={hosts} port=6432 dbname=postgres user=postgres password=change-me connect_timeout=3")
    it.begin()
    try:
        it.hacore("backup", "run")
        it.switch_over()
        moved = it.load.take()
        assert moved.failed == []
        lost = it.lose_the_primary()
        it.bring_back(lost)
        it.make_anew(lost)
        assert "replica created method=basebackup" in machines.log_of(lost)
        it.load.take()
        it.switch_over()
        assert it.load.take().failed == []
    finally:
        it.load.stop()
    it.lose_nothing_and_go_back()
