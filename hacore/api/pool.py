"""A few threads for requests that may wait. They are started when they are needed, and never keep the process from ending."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_WAITING_MAX: Final = 64


class Pool:
    """At most ``size`` tasks at once; what is more waits, what is too much is refused."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._tasks: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0

    def submit(self, task: Callable[[], None]) -> bool:
        """Let a thread run ``task``, which must not raise; ``False`` where too many wait already."""
        with self._changed:
            if len(self._tasks) >= _WAITING_MAX:
                return False
            self._tasks.append(task)
            if self._idle >= len(self._tasks):
                self._changed.notify()
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._tasks:
                    self._changed.wait()
                self._idle -= 1
                task = self._tasks.popleft()
            task()
