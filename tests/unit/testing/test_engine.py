"""Virtual time and its programs."""

import pytest

from hacore.testing.simulation.engine import Engine, Gate, Signal


@pytest.fixture
def engine() -> Engine:
    return Engine(1)


def test_programs_take_turns_in_the_order_of_time(engine: Engine) -> None:
    seen: list[tuple[str, float]] = []

    def program(name: str, pause: float) -> None:
        for _ in range(2):
            engine.sleep(pause)
            seen.append((name, engine.now))

    engine.spawn(lambda: program("a", 1.0))
    engine.spawn(lambda: program("b", 0.6))
    engine.run_until(10)
    assert seen == [("b", 0.6), ("a", 1.0), ("b", 1.2), ("a", 2.0)]
    assert engine.now == 10


def test_a_stopped_process_goes_on_late_with_what_became_due(engine: Engine) -> None:
    gate, seen = Gate(), []

    def program() -> None:
        engine.sleep(1)
        seen.append(engine.now)

    engine.spawn(program, gate)
    engine.at(0.5, gate.close)
    engine.at(3, gate.open)
    engine.run_until(5)
    assert seen == [3]


def test_a_killed_program_never_goes_on(engine: Engine) -> None:
    seen = []

    def program() -> None:
        engine.sleep(1)
        seen.append(engine.now)

    task = engine.spawn(program)
    engine.at(0.5, task.kill)
    engine.run_until(5)
    assert seen == []
    assert task.is_dead


def test_a_program_killed_while_stopped_never_goes_on(engine: Engine) -> None:
    gate, seen = Gate(), []

    def program() -> None:
        engine.sleep(1)
        seen.append(engine.now)

    task = engine.spawn(program, gate)
    engine.at(0.5, gate.close)
    engine.at(2, task.kill)
    engine.at(3, gate.open)
    engine.run_until(5)
    assert seen == []


def test_a_signal_ends_a_wait_early_and_only_once(engine: Engine) -> None:
    signal, seen = Signal(engine), []

    def program() -> None:
        seen.append((signal.wait(engine.now + 4), engine.now))
        seen.append((signal.wait(engine.now + 4), engine.now))

    engine.spawn(program)
    engine.at(1, signal.set)
    engine.run_until(10)
    assert seen == [(True, 1), (False, 5)]


def test_a_signal_set_before_the_wait_is_not_lost(engine: Engine) -> None:
    signal, seen = Signal(engine), []
    signal.set()
    engine.spawn(lambda: seen.append((signal.wait(4), engine.now)))
    engine.run_until(10)
    assert seen == [(True, 0)]


def test_the_dice_of_one_purpose_do_not_depend_on_those_of_another() -> None:
    one, other = Engine(7), Engine(7)
    one.dice("network").random()
    assert one.dice("faults").random() == other.dice("faults").random()
    assert one.dice("faults").random() != Engine(8).dice("faults").random()
