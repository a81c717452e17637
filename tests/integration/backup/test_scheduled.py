"""One schedule and one retention for the cluster, carried out by whoever leads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hacore.testing.waiting import wait_for
from tests.integration.backup.conftest import Backups

pytestmark = pytest.mark.timeout(240)


def configure(backups: Backups, **section: Any) -> None:
    assert backups.cluster.configure(hacore={"backup": section}).status == 200


def daily_before(ago: timedelta) -> str:
    """A schedule whose last time was so long ago."""
    at = datetime.now(UTC) - ago
    return f"{at.minute} {at.hour} * * *"


def test_what_is_due_is_made_once_and_a_new_leader_does_not_make_it_again(backups: Backups) -> None:
    configure(backups, schedule=daily_before(timedelta(hours=1)))
    assert "error" not in backups.ended()
    old = backups.cluster.the_leader()
    assert backups.cluster.switchover(leader=old.name).status == 200
    new = backups.cluster.wait_ready()
    assert new.name != old.name
    wait_for(lambda: 'hook="hacore_list_backups"' in new.rest("/metrics").text, "the new leader has looked")
    assert len(backups.names()) == 1
    assert datetime.fromisoformat(backups.state()["next_backup"]) > datetime.now(UTC)


def test_a_failure_is_tried_again_later_and_not_at_once(backups: Backups) -> None:
    backups.fault("die")
    configure(backups, schedule=daily_before(timedelta(hours=1)))
    assert "ended with -9" in backups.ended()["error"]
    state = backups.state()
    assert state["results"][0]["failures"] == 1
    until = datetime.fromisoformat(state["next_backup"])
    assert timedelta(minutes=4) < until - datetime.now(UTC) < timedelta(minutes=6)


def test_old_ones_go_by_themselves_but_only_those_that_nobody_needs(backups: Backups) -> None:
    for _ in range(3):
        backups.must("backup", "run")
    before = backups.names()
    plan = backups.command("backup", "expire", "--dry-run")
    assert (plan.returncode, "no retention" in plan.stderr) == (1, True)
    configure(backups, retention={"min_count": 2, "min_age": "1d"})
    assert "recovery window" in backups.must("backup", "expire", "--dry-run")
    configure(backups, retention={"min_count": 2, "min_age": None})
    wait_for(lambda: backups.names() == before[1:], "the oldest has gone")
    assert "error" not in backups.ended("expire")


def test_a_repository_that_cannot_be_read_is_no_reason_to_begin_or_to_remove_anything(backups: Backups) -> None:
    backups.must("backup", "run")
    backups.repository.chmod(0)
    try:
        configure(backups, schedule=daily_before(timedelta(hours=1)), retention={"min_count": 1})
        assert "cannot be read" in backups.refused("backup", "list")
        expired = backups.command("backup", "expire", "--force")
        assert (expired.returncode, "cannot be read" in expired.stderr) == (1, True)
    finally:
        backups.repository.chmod(0o700)
    assert len(backups.names()) == 1


def test_a_schedule_that_nobody_can_read_is_refused_before_it_is_stored(backups: Backups) -> None:
    reply = backups.cluster.configure(hacore={"backup": {"schedule": "at night"}})
    assert reply.status == 400
    assert "cron expression" in reply.text
    misspelt = backups.cluster.configure(hacore={"backup": {"shedule": "0 3 * * *"}})
    assert misspelt.status == 200
