"""A thread for the calls of one plugin, so that one that hangs holds up nobody but itself. It does not know what is called."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, Generic, TypeVar, cast

from hacore.errors import HacoreError, JobCancelledError, PluginUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_S: Final = 0.05


class PluginLateError(PluginUnavailableError):
    """A call did not end in time, or was not made because of one that did not."""


class _Task(Generic[T]):
    """One call: what it returned, or the error that it ended with."""

    def __init__(self, function: Callable[[], T], what: str) -> None:
        self.what = what
        self.started_at = time.monotonic()
        self.done = threading.Event()
        self.is_late = False
        self._function = function
        self._values: list[T] = []
        self._error: HacoreError | None = None

    def run(self) -> None:
        try:
            with suppress(SystemExit):  # a plugin does not end our threads
                self._values.append(self._function())
        except HacoreError as error:
            self._error = error
        finally:
            self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        if not self._values:
            raise PluginUnavailableError(f"{self.what}: left its thread without an answer")
        return self._values[0]


def _wait(done: threading.Event, until: float | None, is_cancelled: Callable[[], bool] | None) -> bool:
    """Wait until the call is done, its time is over, or somebody has cancelled it."""
    if is_cancelled is None:
        return done.wait(None if until is None else max(0.0, until - time.monotonic()))
    while not done.wait(_LOOK_S):
        if is_cancelled() or (until is not None and time.monotonic() >= until):
            return done.is_set()
    return True


class Lane:
    """Runs calls one after the other on a thread of its own, each under a limit.

    A call that does not end in time is abandoned; until it comes back every other call is refused at once.
    """

    def __init__(self, name: str) -> None:
        self.late = 0  # calls abandoned
        self.refused = 0  # calls not made because an abandoned one was still out
        self._name = name
        self._turn = threading.Lock()
        self._tasks: SimpleQueue[_Task[object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._latest: _Task[object] | None = None

    @property
    def is_stuck(self) -> bool:
        """Tell whether an abandoned call has not come back."""
        latest = self._latest
        return latest is not None and latest.is_late and not latest.done.is_set()

    def run(
        self, function: Callable[[], T], *, what: str, limit_s: float | None, is_cancelled: Callable[[], bool] | None = None
    ) -> T:  # fmt: skip
        """Run ``function`` on the thread and return what it returns.

        :param function: raises nothing but :class:`HacoreError`.
        :param limit_s: ``None``: as long as it takes.
        :param is_cancelled: asked again and again while the call lasts.
        :raises PluginLateError: it did not return in time, or an earlier call has not.
        :raises JobCancelledError: ``is_cancelled`` said so; the call is abandoned like one that is late.
        """
        until = None if limit_s is None else time.monotonic() + limit_s
        self._refuse_if_stuck(what)
        if not self._turn.acquire(timeout=-1 if limit_s is None else limit_s):
            self.refused += 1
            raise PluginLateError(f"{what}: not called, another call took all of its {limit_s:g} s")
        try:
            self._refuse_if_stuck(what)
            task = _Task(function, what)
            self._submit(cast("_Task[object]", task))
            if _wait(task.done, until, is_cancelled):
                return task.result()
            task.is_late = True
            self.late += 1
        finally:
            self._turn.release()
        if is_cancelled is not None and is_cancelled():
            raise JobCancelledError(f"{what}: cancelled")
        logger.error("plugin does not answer, it is not called again before it has", extra={"plugin": self._name, "call": what})
        raise PluginLateError(f"{what}: no answer within {limit_s:g} s")

    def _refuse_if_stuck(self, what: str) -> None:
        if self.is_stuck:
            self.refused += 1
            raise PluginLateError(f"{what}: not called, an earlier call has not come back")

    def _submit(self, task: _Task[object]) -> None:
        self._latest = task
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name=f"plugin {self._name}", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            if task.is_late:
                took_s = round(time.monotonic() - task.started_at, 1)
                logger.warning("plugin has come back", extra={"plugin": self._name, "call": task.what, "took_s": took_s})

    def end(self) -> None:
        """Let the thread end after what it is doing."""
        if self._thread is not None:
            self._tasks.put(None)


def run_once(name: str, function: Callable[[], T], *, what: str, limit_s: float) -> T:
    """Run one call of the plugin ``name`` on a thread for it alone."""
    lane = Lane(name)
    try:
        return lane.run(function, what=what, limit_s=limit_s)
    finally:
        lane.end()
