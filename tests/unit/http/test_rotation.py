"""Which server is asked when, and when no second one may be asked."""

from collections.abc import Callable

import pytest

from hacore.http.connection import NotSentError
from hacore.http.rotation import NoAnswerError, Rotation
from hacore.model.clock import Instant
from hacore.testing.clocks import SetClock

ABC = ("http://a", "http://b", "http://c")


class Servers:
    """Servers that fail as told, each after having used its time up."""

    def __init__(self, clock: SetClock, **faults: Exception) -> None:
        self.clock = clock
        self.faults = faults
        self.asked: list[tuple[str, float, float]] = []

    def __call__(self, endpoint: str, connect_until: Instant, answer_until: Instant) -> str:
        name = endpoint.removeprefix("http://")
        self.asked.append((name, connect_until - 100.0, answer_until - 100.0))
        fault = self.faults.get(name)
        if fault is None:
            return name
        if isinstance(fault, TimeoutError):
            self.clock.at = answer_until
        raise fault


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def make(clock: SetClock) -> Callable[..., Rotation]:
    return lambda *names: Rotation(names or ABC, clock, shuffled=False)


def test_the_first_server_answers_and_stays_the_first(clock: SetClock, make: Callable[..., Rotation]) -> None:
    rotation, servers = make(), Servers(clock)
    assert [rotation.ask(servers, until=108.0, repeatable=True) for _ in range(2)] == ["a", "a"]


def test_a_server_that_never_answers_leaves_half_of_the_time_to_the_others_and_stands_last_from_then_on(
    clock: SetClock, make: Callable[..., Rotation]
) -> None:
    rotation, servers = make(), Servers(clock, a=TimeoutError(), b=TimeoutError())
    assert rotation.ask(servers, until=108.0, repeatable=True) == "c"
    assert [(name, until_s) for name, _, until_s in servers.asked] == [("a", 4.0), ("b", 6.0), ("c", 8.0)]
    assert rotation.order == ("http://c", "http://a", "http://b")


def test_the_only_server_is_asked_again_where_that_can_do_no_harm(clock: SetClock, make: Callable[..., Rotation]) -> None:
    rotation, servers = make("http://a"), Servers(clock, a=TimeoutError())
    with pytest.raises(NoAnswerError):
        rotation.ask(servers, until=108.0, repeatable=True)
    assert servers.asked == [("a", 4.0, 4.0), ("a", 8.0, 8.0)]
    clock.at = 100.0
    with pytest.raises(NoAnswerError):
        rotation.ask(servers, until=108.0, repeatable=False)
    assert servers.asked[2:] == [("a", 8.0, 8.0)]
    refusing = Servers(clock, a=ConnectionResetError("gone"))
    clock.at = 100.0
    with pytest.raises(NoAnswerError):
        rotation.ask(refusing, until=108.0, repeatable=True)
    assert len(refusing.asked) == 1  # it was not silent: when to ask it again is for whoever asked


def test_what_may_not_be_repeated_has_all_the_time_for_its_answer_and_is_never_sent_twice(
    clock: SetClock, make: Callable[..., Rotation]
) -> None:
    rotation, servers = make(), Servers(clock, a=ConnectionResetError("gone"))
    with pytest.raises(NoAnswerError, match="http://a: gone"):
        rotation.ask(servers, until=108.0, repeatable=False)
    assert servers.asked == [("a", 4.0, 8.0)]


def test_what_no_server_can_have_received_may_be_sent_to_the_next(clock: SetClock, make: Callable[..., Rotation]) -> None:
    rotation, servers = make(), Servers(clock, a=NotSentError("refused"))
    assert rotation.ask(servers, until=108.0, repeatable=False) == "b"


def test_an_answer_that_comes_too_late_is_none(clock: SetClock, make: Callable[..., Rotation]) -> None:
    def late(endpoint: str, connect_until: Instant, answer_until: Instant) -> str:
        clock.at = 108.1
        return endpoint

    with pytest.raises(NoAnswerError, match="too late"):
        make("http://a").ask(late, until=108.0, repeatable=True)


def test_what_a_server_refuses_is_asked_of_nobody_else(clock: SetClock, make: Callable[..., Rotation]) -> None:
    rotation, servers = make(), Servers(clock, a=RefusedError())
    with pytest.raises(RefusedError):
        rotation.ask(servers, until=108.0, repeatable=True)
    assert rotation.order[0] == "http://a"


def test_servers_that_are_found_are_used_and_the_configured_ones_stay(make: Callable[..., Rotation]) -> None:
    rotation = make("http://a")
    rotation.learn(["http://x", "http://a", "http://y"])
    assert rotation.order[0] == "http://a"
    assert set(rotation.order) == {"http://a", "http://x", "http://y"}
    rotation.learn(["http://y"])
    assert rotation.order == ("http://a", "http://y")


def test_other_servers_can_stand_for_the_configured_ones(make: Callable[..., Rotation]) -> None:
    rotation = make(*ABC)
    rotation.learn(("http://b",), named=("http://d",))
    assert (rotation.order, rotation.named) == (("http://b", "http://d"), ("http://d",))
    rotation.learn(("http://e",))
    assert set(rotation.order) == {"http://d", "http://e"}


class RefusedError(Exception):
    """What the product's own client raises for a definite answer."""
