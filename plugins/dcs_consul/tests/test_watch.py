"""When the watch asks and whom it wakes, with an agent of paper."""

import base64
import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from hacore.errors import DcsUnavailableError
from hacore.sightings import Sightings
from hacore_dcs_consul.client import Answer, Client
from hacore_dcs_consul.watch import Watch
from hacore_dcs_consul.wire import Keys

KEYS = Keys.of("service", "demo")
LOOP_WAIT_S = 400.0  # what the members take to settle is ten seconds then: whatever comes sooner has not waited
SOON_S = 5.0
NEVER_S = 0.3


class PaperClock:
    def __init__(self) -> None:
        self.instant = 1000.0

    def now(self) -> float:
        return self.instant

    def wall(self) -> Any:
        raise NotImplementedError("nobody here reads the time of day")


class PaperAgent:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: queue.Queue[Mapping[str, str]] = queue.Queue()
        self.answers: queue.Queue[Answer | Exception] = queue.Queue()

    def read(self, path: str, query: Mapping[str, str], *, until: float, repeatable: bool) -> Answer:
        assert (path, repeatable) == (KEYS.path(), False)
        assert until > 1000.0
        self.asked.put(query)
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def interrupt(self) -> None:
        self.answers.put(DcsUnavailableError("gone"))

    def close(self) -> None:
        """There is nothing to close."""


class Followed:
    """A watch on paper, which has had its first answer."""

    def __init__(self, *, is_stale: bool = False) -> None:
        self.clock, self.agent, self.woken = PaperClock(), PaperAgent(), threading.Semaphore(0)
        client, sightings = cast("Client", self.agent), Sightings(self.clock)
        self.watch = Watch(client=client, clock=self.clock, keys=KEYS, sightings=sightings, is_stale=is_stale, loop_wait_s=LOOP_WAIT_S)
        self.versions = {"leader": 1, "config": 2, "hacore": 3, "members/a": 4, "status": 5}
        self.watch.start(self.woken.release)
        self.first = self.question()
        self.answer()
        assert self.is_woken(), "nobody knows what happened before"
        self.question()

    def question(self, within_s: float = SOON_S) -> Mapping[str, str] | None:
        try:
            return self.agent.asked.get(timeout=within_s)
        except queue.Empty:
            return None

    def answer(self, *changed: str, after_s: float = 0.0) -> None:
        """Answer the question, so long after it was asked, because these have changed."""
        self.clock.instant += after_s
        for name in changed:
            self.versions[name] = max(self.versions.values()) + 1
        content = [
            {"Key": KEYS.prefix + name, "Value": base64.b64encode(b"x").decode(), "CreateIndex": 1, "ModifyIndex": version, "Session": "s"}
            for name, version in self.versions.items()
        ]
        self.agent.answers.put(Answer(status=200, content=content, headers={"x-consul-index": str(max(self.versions.values()))}))

    def is_woken(self, within_s: float = SOON_S) -> bool:
        return self.woken.acquire(timeout=within_s)


@pytest.fixture
def followed() -> Iterator[Followed]:
    with _closing(Followed()) as found:
        yield found


@contextlib.contextmanager
def _closing(found: Followed) -> Iterator[Followed]:
    try:
        yield found
    finally:
        found.watch.close()


def test_a_renewal_that_was_due_lets_the_members_follow_before_the_next_question(followed: Followed) -> None:
    followed.answer("hacore", after_s=LOOP_WAIT_S)
    assert followed.question(NEVER_S) is None
    assert not followed.is_woken(0.0)


def test_the_leader_s_position_wakes_at_once_and_lets_the_members_follow_too(followed: Followed) -> None:
    followed.answer("hacore", "status", after_s=LOOP_WAIT_S)
    assert followed.is_woken()
    assert followed.question(NEVER_S) is None


@pytest.mark.parametrize("changed", ["leader", "config", "failover"])
def test_what_leads_to_more_is_followed_without_a_pause(followed: Followed, changed: str) -> None:
    if changed == "leader":
        del followed.versions["leader"]
        followed.answer("hacore", after_s=LOOP_WAIT_S)
    else:
        followed.answer("hacore", changed, after_s=LOOP_WAIT_S)
    assert followed.is_woken()
    assert followed.question() is not None


def test_what_was_not_due_is_followed_without_a_pause(followed: Followed) -> None:
    followed.answer("hacore", "status", after_s=LOOP_WAIT_S / 2)
    assert followed.is_woken()
    assert followed.question() is not None


def test_a_question_that_nothing_has_answered_is_asked_again_at_once(followed: Followed) -> None:
    followed.answer(after_s=2 * LOOP_WAIT_S)
    question = followed.question()
    assert question is not None
    assert question["index"] == "5"
    assert not followed.is_woken(0.0)


def test_the_picture_is_the_newest_answer_and_as_old_as_its_question(followed: Followed) -> None:
    asked_at = followed.clock.instant
    followed.answer("config", after_s=7.0)
    assert followed.question() is not None
    kept = followed.watch.picture.recall(followed.clock.instant, 7.0)
    assert kept is not None
    assert (kept.sent_at, kept.index, kept.found["config"].version) == (asked_at, 6, 6)


def test_a_watch_that_any_server_may_answer_keeps_no_picture() -> None:
    with _closing(Followed(is_stale=True)) as followed:
        assert followed.first is not None
        assert "stale" in followed.first
        assert "consistent" not in followed.first
        assert followed.watch.picture.recall(followed.clock.instant, 1e9) is None


def test_an_index_that_has_gone_back_begins_the_watch_anew_and_keeps_nothing(followed: Followed) -> None:
    followed.versions = {"leader": 1}
    followed.answer()
    assert followed.question() == followed.first
    assert followed.watch.picture.recall(followed.clock.instant, 1e9) is None
    followed.answer()
    assert followed.is_woken()


def test_an_error_that_nobody_has_heard_of_begins_the_watch_anew(followed: Followed) -> None:
    followed.agent.answers.put(RuntimeError("can't start new thread"))
    assert followed.question() == followed.first
