"""The watch of a real API server: what it has forgotten, and what keeps it young."""

import threading

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put
from hacore.model.clock import BootClock
from hacore.sightings import Sightings
from hacore.testing.conformance.store import CALL_S, Wakes, look, now, written
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.lock import OwnClock
from hacore_dcs_kubernetes.objects import CONFIG_MAPS
from hacore_dcs_kubernetes.watch import Known, Watch
from plugins.dcs_kubernetes.tests.served import Served
from plugins.dcs_kubernetes.tests.sessions import objects_of, opened


def watch_of(shared: Served, scope: str) -> Watch:
    objects, clock = objects_of(shared, CONFIG_MAPS, scope), BootClock()
    known = Known(own_clock=OwnClock(clock), sightings=Sightings(clock), clock=clock)
    directory = Directory(clock, (), bypass=False)
    return Watch(client=objects._client, objects=objects, known=known, directory=directory, silence_s=30.0)


def test_a_version_that_the_server_has_forgotten_makes_the_watch_list_again(alone: Served, scope: str) -> None:
    with opened(alone, CONFIG_MAPS, scope) as session:
        written(session, Put(name="config", value="1"))
        version = look(session).revision
        for number in range(3):
            written(session, Put(name="config", value=str(number)))
        alone.kubernetes.etcd.control("compact", str(look(session).revision))
        alone.kubernetes.stop()
        alone.kubernetes.start()  # what it remembered beyond etcd is gone, too
        watch = watch_of(alone, scope)
        with pytest.raises(DcsUnavailableError, match="too old"):
            watch._follow(version or 0, lambda: None)
        wakes = Wakes()
        watch.start(wakes)
        assert wakes.within(CALL_S, after=0)
        before = wakes.quiet()
        written(session, Put(name="config", value="again"))
        assert wakes.within(CALL_S, after=before)
        watch.close()


def test_bookmarks_keep_a_watch_young_that_sees_nothing(shared: Served, scope: str) -> None:
    """A server sends one shortly before it ends a watch in order, if anything at all has changed: so a short watch shows it."""
    objects = objects_of(shared, CONFIG_MAPS, scope)
    version, _ = objects.list(now() + CALL_S)
    query = {"watch": "true", "resourceVersion": str(version), "allowWatchBookmarks": "true", "timeoutSeconds": "4"}
    ended = threading.Event()

    def change_others() -> None:
        with opened(shared, CONFIG_MAPS, f"{scope}-other", "other") as session:
            while not ended.wait(0.3):
                written(session, Put(name="config", value=str(now())))

    others = threading.Thread(target=change_others)
    others.start()
    try:
        events = list(objects._client.watch(objects.path(labelSelector=objects.place.selector, **query), silence_s=10.0))
    finally:
        ended.set()
        others.join()
    assert {event["type"] for event in events} == {"BOOKMARK"}
    assert all(int(event["object"]["metadata"]["resourceVersion"]) > version for event in events)
    assert objects.read(events[0]["object"]) is None
