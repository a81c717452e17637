"""What other threads want of the loop, and how they are told."""

import threading
from dataclasses import replace

import pytest

from hacore.agent.desk import Desk
from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.interfaces import Dcs
from hacore.loop import Turn
from hacore.model.commands import ReloadCommand, ShutdownCommand
from hacore.model.world import Decision, World
from tests.unit.decide import worlds as w

DECISION = Decision(table="following", rule="keep_following", reason="")


def turn(**fields: object) -> Turn:
    return Turn(**{"world": w.world(), "decision": DECISION, "next_at": 0.0, "took_s": 0.0, **fields})  # type: ignore[arg-type]


def desk(wake: object = None) -> Desk:
    return Desk(wake or (lambda: None), lambda: None)  # type: ignore[arg-type]


def served(found: Desk, errand: object) -> None:
    """Run what is waiting, as the loop's thread does between two turns."""
    found.run_errands(errand)  # type: ignore[arg-type]


def test_an_errand_runs_in_the_thread_that_turns() -> None:
    woken = threading.Event()
    found = desk(woken.set)
    found.turned(turn())
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(found.call(lambda _dcs, world: (threading.current_thread(), world.me.name), 5)))
    thread.start()
    assert woken.wait(5)
    served(found, None)
    thread.join(5)
    assert results == [(threading.current_thread(), "a")]


def test_an_errand_that_nobody_begins_is_taken_back() -> None:
    found, ran = desk(), []
    found.turned(turn())
    with pytest.raises(DcsUnavailableError):
        found.call(lambda _dcs, _world: ran.append(1), 0.05)
    served(found, None)
    assert ran == []


def test_before_the_first_turn_there_is_nothing_to_rest_on() -> None:
    with pytest.raises(DcsUnavailableError, match="has not looked"):
        desk().call(lambda _dcs, _world: 1, 0.05)


def test_an_errand_of_the_first_moment_waits_for_the_first_turn() -> None:
    woken = threading.Event()
    found = desk(woken.set)
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(found.call(lambda _dcs, world: world.me.name, 5)))
    thread.start()
    found.turned(turn())
    assert woken.wait(5)
    served(found, None)
    thread.join(5)
    assert results == ["a"]


@pytest.mark.parametrize(("raised", "seen"), [(ConfigError("x"), ConfigError), (ZeroDivisionError(), PluginUnavailableError)])
def test_what_an_errand_raises_reaches_the_thread_that_asked_and_not_the_loop(raised: Exception, seen: type[Exception]) -> None:
    def fail(_dcs: Dcs, _world: World) -> None:
        raise raised

    woken = threading.Event()
    found, caught = desk(woken.set), []
    found.turned(turn())

    def ask() -> None:
        with pytest.raises(seen) as error:
            found.call(fail, 5)
        caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert woken.wait(5)
    served(found, None)
    thread.join(5)
    assert len(caught) == 1


def test_a_command_stands_until_a_turn_has_answered_it() -> None:
    found = desk()
    found.submit(ShutdownCommand(id="l", received_at=0))
    assert [command.id for command in found.commands()] == ["l"]
    found.turned(turn(answers={"l": (True, "stopped")}))
    assert (found.commands(), found.result("l", 0)) == ((), (True, "stopped"))


def test_a_reload_reaches_the_loop_when_the_files_have_been_read_and_nobody_waits_for_that() -> None:
    is_read, woken = threading.Event(), threading.Event()

    def read() -> None:
        assert is_read.wait(5)

    found = Desk(woken.set, read)
    found.submit(ReloadCommand(id="l", received_at=0))
    assert found.commands() == ()
    is_read.set()
    assert woken.wait(5)
    assert [command.id for command in found.commands()] == ["l"]


def test_a_command_can_be_taken_back_once() -> None:
    found = desk()
    found.submit(ShutdownCommand(id="l", received_at=0))
    assert (found.cancel("l"), found.cancel("l")) == (True, False)


def test_somebody_who_waits_is_asked_again_after_each_turn() -> None:
    found, results = desk(), []
    found.turned(turn())
    thread = threading.Thread(target=lambda: results.append(found.wait_for(lambda world, _: world.lease and world.lease.token, 5)))
    thread.start()
    found.turned(turn(world=replace(w.world(), lease=w.lease())))
    thread.join(5)
    assert results == [1]
