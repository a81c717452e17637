"""Virtual time: a queue of events, and tasks that read like programs and give the baton back wherever they wait.

Everything runs on one thread, exactly one task at a time, in an order that the seed alone decides. A call of the program under test
takes virtual time by sleeping in it; meanwhile everybody else's events go on. It does not know what is simulated.
"""

import heapq
from collections import deque
from collections.abc import Callable
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet

Callback = Callable[[], None]


class Event:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callback) -> None:
        self.at = at
        self.action: Callback | None = action

    def cancel(self) -> None:
        """Do not let it happen."""
        self.action = None


class Gate:
    """What a stopped process does: whatever becomes due in it waits until it goes on."""

    __slots__ = ("_waiting", "is_open")

    def __init__(self) -> None:
        self.is_open = True
        self._waiting: deque[Callback] = deque()

    def pass_or_wait(self, action: Callback) -> None:
        """Run ``action`` now, or when the gate opens."""
        if self.is_open:
            action()
        else:
            self._waiting.append(action)

    def close(self) -> None:
        """Stop the process."""
        self.is_open = False

    def open(self) -> None:
        """Let it go on with everything that became due meanwhile, in order."""
        self.is_open = True
        while self._waiting and self.is_open:
            self._waiting.popleft()()

    def forget(self) -> None:
        """The process has ended: nothing waits any more."""
        self._waiting.clear()
        self.is_open = True


class Task:
    """A program that runs in virtual time. ``gates``: of the process it belongs to and of its machine."""

    def __init__(self, engine: "Engine", work: Callback, gates: tuple[Gate, ...]) -> None:
        self._engine = engine
        self._gates = gates
        self._greenlet = greenlet(self._run)
        self._work = work
        self._wait_number = 0  # an old wake-up finds that somebody else was faster
        self.is_dead = False

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self.is_dead = True
            self._engine.forget(self)

    def resume(self, wait_number: int) -> None:
        """Go on where the task waits, if it still waits there."""
        if self.is_dead or wait_number != self._wait_number:
            return
        closed = next((gate for gate in self._gates if not gate.is_open), None)
        if closed is not None:
            closed.pass_or_wait(lambda: self.resume(wait_number))
            return
        self._wait_number += 1
        self._greenlet.parent = self._engine.hub
        self._greenlet.switch()

    def kill(self) -> None:
        """End the task where it stands, as SIGKILL does: only memory is cleaned up."""
        if self.is_dead:
            return
        self.is_dead = True
        self._wait_number += 1
        if self._greenlet is getcurrent():
            raise GreenletExit
        if self._greenlet:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)

    @property
    def wait_number(self) -> int:
        """Return the number of the wait that comes next."""
        return self._wait_number


class Signal:
    """What a task can wait for beside time."""

    __slots__ = ("_engine", "_waiting", "is_set")

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._waiting: list[tuple[Task, int]] = []
        self.is_set = False

    def set(self) -> None:
        """Wake whoever waits; the next wait returns at once."""
        self.is_set = True
        waiting, self._waiting = self._waiting, []
        for task, number in waiting:
            self._engine.at(self._engine.now, lambda task=task, number=number: task.resume(number))  # type: ignore[misc]

    def wait(self, until: float) -> bool:
        """Wait for the signal or an instant, take the signal down, and tell whether it was up."""
        if not self.is_set and until > self._engine.now:
            task = self._engine.current()
            self._waiting.append((task, task.wait_number))
            self._engine.sleep_until(until)
            self._waiting = [(one, number) for one, number in self._waiting if one is not task]
        was_set, self.is_set = self.is_set, False
        return was_set


class Engine:
    """The clock, the queue and the dice of one run."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self.now = 0.0
        self.hub = getcurrent()
        self._queue: list[tuple[float, int, Event]] = []
        self._number = 0
        self._tasks: dict[greenlet, Task] = {}
        self.steps = 0
        self.after_each: Callback | None = None  # what is checked after each event

    def dice(self, purpose: str) -> Random:
        """Return random numbers for one purpose: more of them elsewhere do not change these."""
        return Random(f"{self.seed} {purpose}")

    def at(self, when: float, action: Callback) -> Event:
        """Let something happen at an instant."""
        event = Event(max(when, self.now), action)
        self._number += 1
        heapq.heappush(self._queue, (event.at, self._number, event))
        return event

    def after(self, delay: float, action: Callback) -> Event:
        """Let something happen in a while."""
        return self.at(self.now + delay, action)

    def spawn(self, work: Callback, *gates: Gate) -> Task:
        """Start a program now."""
        task = Task(self, work, gates)
        self._tasks[task._greenlet] = task  # noqa: SLF001 - one mechanism in two classes
        number = task.wait_number
        self.at(self.now, lambda: task.resume(number))
        return task

    def current(self) -> Task:
        """Return the program that runs."""
        return self._tasks[getcurrent()]

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the running program."""
        self.sleep_until(self.now + seconds)

    def sleep_until(self, when: float) -> None:
        """Let virtual time pass for the running program up to an instant."""
        task = self.current()
        if task.is_dead:  # it is being killed: nothing that it does on its way out takes effect
            raise GreenletExit
        number = task.wait_number
        self.at(when, lambda: task.resume(number))
        self.hub.switch()

    def run_until(self, end: float, *, stop: Callable[[], bool] | None = None) -> None:
        """Let everything happen that is due up to an instant, or until ``stop`` says so."""
        self.hub = getcurrent()
        while self._queue and self._queue[0][0] <= end:
            when, _, event = heapq.heappop(self._queue)
            if event.action is None:
                continue
            self.now = when
            self.steps += 1
            event.action()
            if self.after_each is not None:
                self.after_each()
            if stop is not None and stop():
                return
        self.now = max(self.now, end)

    def close(self) -> None:
        """End every program, so that nothing is left waiting."""
        self._queue.clear()
        for task in list(self._tasks.values()):
            task.kill()
        self._tasks.clear()

    def forget(self, task: Task) -> None:
        """Drop a program that has ended."""
        self._tasks.pop(task._greenlet, None)  # noqa: SLF001 - as above
