"""The way between one node and the store: requests and answers that take time, get lost, or arrive when nobody waits any more.

A request may be lost, may take effect without an answer, or may take effect long after the caller has given up. An answer that comes after
the deadline has not come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from hacore.errors import DcsUnavailableError
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Engine, Event
from hacore.testing.simulation.network import STORE, Network
from hacore.testing.simulation.store import Store

T = TypeVar("T")


@dataclass(slots=True)
class SessionFaults:
    """What may happen to the calls of one node."""

    lost_answer: float = 0.0  # probability
    late_effect: float = 0.0  # probability that a lost request takes effect after the caller has given up


class Wire:
    """One node's connection to the store."""

    def __init__(self, engine: Engine, network: Network, store: Store, member: str, clock: NodeClock, faults: SessionFaults) -> None:
        self._engine = engine
        self._network = network
        self._store = store
        self._member = member
        self._clock = clock
        self._faults = faults
        self._dice: Random = engine.dice(f"session of {member} at {engine.now}")
        self._wake: Callable[[], None] | None = None
        self._notice: Event | None = None

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when news have arrived."""
        self._wake = wake
        self._store.watch(self._member, self._changed)

    def close(self) -> None:
        """Hang up."""
        self._wake = None
        self._store.watch(self._member, None)

    def call(self, timeout_s: float, work: Callable[[], T]) -> T:
        """Have ``work`` done at the store and return what came back.

        :raises DcsUnavailableError: nothing came back in time.
        """
        engine, network = self._engine, self._network
        deadline = engine.now + max(timeout_s, 0.0) / self._clock.rate
        arrives_at = engine.now + network.delay(self._member, STORE)
        if not network.reaches(self._member, STORE) or network.loses():
            if self._dice.random() < self._faults.late_effect:  # it stood in a queue and is worked on when nobody waits any more
                engine.at(deadline + self._dice.uniform(0.0, 4.0), lambda: self._work_late(work))
            self._give_up(deadline)
        answers: list[tuple[T, float]] = []
        engine.at(arrives_at, lambda: self._work(work, answers))  # also where the caller is stopped or killed meanwhile
        engine.sleep_until(min(arrives_at, deadline))
        if not answers or answers[0][1] >= deadline:
            self._give_up(deadline)
        answer, back_at = answers[0]
        engine.sleep_until(back_at)
        if engine.now > deadline:  # the process was stopped: the answer is late however early it came
            raise DcsUnavailableError("the answer came after the deadline")
        return answer

    def _work(self, work: Callable[[], T], answers: list[tuple[T, float]]) -> None:
        """At the store: let a request take effect, and send the answer on its way."""
        if not self._store.is_available:
            return
        answer = work()
        network = self._network
        is_lost = not network.reaches(STORE, self._member) or network.loses() or self._dice.random() < self._faults.lost_answer
        if not is_lost:
            answers.append((answer, self._engine.now + network.delay(STORE, self._member)))

    def _give_up(self, deadline: float) -> None:
        self._engine.sleep_until(deadline)
        raise DcsUnavailableError("no answer in time")

    def _work_late(self, work: Callable[[], T]) -> None:
        if self._store.is_available and self._network.reaches(self._member, STORE):
            work()

    def _changed(self) -> None:
        """Bring the news to the node, one message for many changes."""
        if self._notice is not None and self._notice.action is not None and self._notice.at > self._engine.now:
            return
        if not self._store.is_available or not self._network.reaches(STORE, self._member):
            return
        self._notice = self._engine.after(self._network.delay(STORE, self._member), self._arrived)

    def _arrived(self) -> None:
        self._notice = None
        if self._wake is not None:
            self._wake()
