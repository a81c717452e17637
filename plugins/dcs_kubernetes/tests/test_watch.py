"""The watch of a real API server: what it has forgotten, what keeps it young, what of a picture outlives its end, and who may watch."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put, Renewed
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, Wakes, eventually, look, now, renew, take, written
from hacore.testing.kubernetes_api import Answer
from hacore_dcs_kubernetes.client import RefusedByServerError
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.follower import Follower, Means, pause_s
from hacore_dcs_kubernetes.objects import CONFIG_MAPS
from hacore_dcs_kubernetes.picture import Picture
from hacore_dcs_kubernetes.pods import Pods
from hacore_dcs_kubernetes.records import Found
from hacore_dcs_kubernetes.settings import KubernetesSettings
from plugins.dcs_kubernetes.tests.served import Served
from plugins.dcs_kubernetes.tests.sessions import asked, client_of, objects_of, opened, place_of


@dataclass(slots=True)
class Heard:
    """What somebody who listens was told."""

    lists: int = 0
    news: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)  # to come

    def listed(self, found: Mapping[str, Found]) -> None:
        self.lists += 1
        if self.failures:
            raise self.failures.pop()

    def told(self, key: str, item: Found | None) -> None:
        self.news.append(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    follower: Follower[Found]
    picture: Picture[Found]
    heard: Heard


@contextlib.contextmanager
def following(shared: Served, scope: str, *, lasts_s: int = 1800) -> Iterator[Following]:
    """A watch of a cluster's objects, not begun yet."""
    clock, picture, heard = BootClock(), Picture[Found](), Heard()
    means = Means(clock=clock, directory=Directory(clock, (), bypass=False), lasts_s=lasts_s)
    follower = Follower(objects_of(shared, CONFIG_MAPS, scope), picture, heard, means, silence_s=30.0)
    with contextlib.closing(follower):
        yield Following(follower=follower, picture=picture, heard=heard)


def config_of(picture: Picture[Found]) -> str | None:
    kept = picture.recall(0.0)
    return kept.items["config"].records["config"] if kept is not None and "config" in kept.items else None


def test_a_version_that_the_server_has_forgotten_makes_the_watch_list_again(alone: Served, scope: str) -> None:
    with opened(alone, CONFIG_MAPS, scope) as session, following(alone, scope) as one:
        written(session, Put(name="config", value="1"))
        version = look(session).revision
        for number in range(3):
            written(session, Put(name="config", value=str(number)))
        alone.kubernetes.etcd.control("compact", str(look(session).revision))
        alone.kubernetes.stop()
        alone.kubernetes.start()  # what it remembered beyond etcd is gone, too
        one.picture.followed(now(), version or 0, {})
        with pytest.raises(DcsUnavailableError, match="too old"):
            one.follower.follow(version or 0)
        one.picture.interrupted()
        one.follower.start()
        eventually(lambda: config_of(one.picture) == "2")
        written(session, Put(name="config", value="again"))
        eventually(lambda: config_of(one.picture) == "again")
        assert "config" in one.heard.news


def test_a_watch_that_the_server_ends_in_order_goes_on_and_so_does_its_picture(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session, following(shared, scope, lasts_s=1) as one:
        one.follower.start()
        eventually(lambda: one.picture.recall(0.0) is not None)
        kept = one.picture.recall(0.0)
        until, number = now() + 4.0, 0
        while now() < until:
            number += 1
            written(session, Put(name="config", value=str(number)))
            eventually(lambda number=number: config_of(one.picture) == str(number))  # type: ignore[misc]
        assert one.heard.lists == 1
        assert kept is not None
        assert one.picture.recall(kept.sent_at) is not None


def test_a_watch_outlives_an_error_that_it_does_not_know(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session, following(shared, scope) as one:
        one.heard.failures.append(RuntimeError("can't start new thread"))
        one.follower.start()
        written(session, Put(name="config", value="1"))
        eventually(lambda: config_of(one.picture) == "1")
        assert one.heard.lists > 1


def test_another_bound_on_silence_counts_from_the_next_event_and_the_picture_stays(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session, following(shared, scope) as one:
        one.follower.start()
        eventually(lambda: one.picture.recall(0.0) is not None)
        one.follower.silence_s = 1.0
        written(session, Put(name="config", value="1"))
        eventually(lambda: config_of(one.picture) == "1")
        assert one.heard.lists == 1
        eventually(lambda: one.heard.lists == 2)  # nobody has written since


def test_a_picture_that_is_said_to_be_over_begins_anew_with_the_next_change(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session, following(shared, scope) as one:
        one.follower.start()
        eventually(lambda: one.picture.recall(0.0) is not None)
        one.picture.interrupted()
        written(session, Put(name="config", value="1"))
        eventually(lambda: config_of(one.picture) == "1")
        assert one.heard.lists == 2


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
        events = list(objects.client.watch(objects.all_of_them(**query), silence_s=10.0))
    finally:
        ended.set()
        others.join()
    assert {event["type"] for event in events} == {"BOOKMARK"}
    assert all(int(event["object"]["metadata"]["resourceVersion"]) > version for event in events)
    assert objects.keyed(events[0]["object"]) is None


def test_a_role_that_may_not_watch_pods_costs_readings_and_nothing_else(shared: Served, scope: str) -> None:
    """The manifests of earlier versions do not name it."""
    namespace = f"old-{scope}"
    settings = shared.settings(CONFIG_MAPS, namespace=namespace)
    eventually(lambda: may_watch_pods(settings, scope))
    path = shared.kubernetes.path("Role", "rbac.authorization.k8s.io/v1", namespace, "hacore")
    rules = shared.kubernetes.ask("GET", path)["rules"]
    shared.change(path, rules=[{**rule, "verbs": verbs_of_old(rule)} for rule in rules])
    eventually(lambda: not may_watch_pods(settings, scope))
    with opened(shared, CONFIG_MAPS, scope, settings=settings) as session:
        wakes = Wakes()
        session.watch(wakes)
        lock = take(session, 30.0)
        for number in range(3):
            session.publish(str(number), ttl_s=30.0, timeout_s=CALL_S)
            answer = renew(session, lock, 30.0)
            assert isinstance(answer, Renewed)
            assert answer.snapshot.members["a"].value == str(number)
        attempts = asked(shared)["WATCH pods"]
        before = wakes.quiet(2.0)
        assert asked(shared)["WATCH pods"] - attempts <= 2
        written(session, Put(name="config", value="1"))
        assert wakes.within(CALL_S, after=before)


def test_a_watch_that_is_not_allowed_for_days_is_still_tried_each_five_minutes() -> None:
    assert [pause_s(0, forbidden) for forbidden in (1, 2, 8, 9, 5000)] == [2.0, 4.0, 256.0, 300.0, 300.0]


def verbs_of_old(rule: Answer) -> list[str]:
    return [verb for verb in rule["verbs"] if "pods" not in rule["resources"] or verb != "watch"]


def may_watch_pods(settings: KubernetesSettings, scope: str) -> bool:
    pods = Pods(client_of(settings), place_of(settings, scope))
    with contextlib.closing(pods.client):
        version, _ = pods.list(now() + CALL_S)
        path = pods.all_of_them(watch="true", timeoutSeconds="1", resourceVersion=str(version))
        try:
            return list(pods.client.watch(path, headers=pods.headers, silence_s=5.0)) == []
        except RefusedByServerError as error:
            if not error.is_denial:
                raise
            return False
