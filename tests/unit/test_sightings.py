"""Since when a session has known a version."""

from hacore.model.clock import BootClock
from hacore.sightings import Sightings


def test_a_version_that_the_watch_saw_first_counts_from_there_and_another_one_anew() -> None:
    sightings = Sightings(BootClock())
    sightings.watched("hacore", "1", 5)
    first = sightings.read("hacore", "1", 5)
    sightings.watched("hacore", "2", 6)
    assert sightings.read("hacore", "1", 5) == first
    ahead = sightings.read("hacore", "2", 6)
    assert ahead.received_at >= first.received_at
    assert sightings.read("hacore", "other", 6).received_at > ahead.received_at


def test_a_version_below_what_the_watch_saw_keeps_its_instant() -> None:
    sightings = Sightings(BootClock())
    sightings.watched("hacore", "later", 50)
    first = sightings.read("hacore", "restored", 30)
    assert sightings.read("hacore", "restored", 30) == first
