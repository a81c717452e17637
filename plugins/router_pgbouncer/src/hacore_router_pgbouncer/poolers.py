"""All PgBouncers that this agent drives, asked at the same time: one that hangs must not hold up the others."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from hacore.errors import PluginUnavailableError
from hacore_router_pgbouncer.pooler import Pooler

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why one did not answer."""

    reason: str


class Poolers:
    """Asks every one. Its threads are made when they are first needed: with one there are none."""

    def __init__(self, ones: Iterable[Pooler]) -> None:
        self._ones = tuple(ones)
        self._pool: ThreadPoolExecutor | None = None

    def __iter__(self) -> Iterator[Pooler]:
        return iter(self._ones)

    def close(self) -> None:
        """End their sessions, and the threads."""
        for one in self._ones:
            one.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def every(self, ask: Callable[[Pooler], T]) -> tuple[T | Unanswered, ...]:
        """Ask every one; return what they answer, in their order.

        :raises PluginUnavailableError: none answered.
        """

        def answer_of(one: Pooler) -> T | Unanswered:
            try:
                return ask(one)
            except PluginUnavailableError as error:
                return Unanswered(str(error))

        if len(self._ones) == 1:
            return (ask(self._ones[0]),)
        self._pool = self._pool or ThreadPoolExecutor(len(self._ones), thread_name_prefix="pgbouncer")
        answers = tuple(self._pool.map(answer_of, self._ones))
        silent = [answer.reason for answer in answers if isinstance(answer, Unanswered)]
        if len(silent) == len(answers):
            raise PluginUnavailableError("; ".join(silent))
        return answers

    def shown(self, ask: Callable[[Pooler], T]) -> tuple[T, ...]:
        """Ask every one; return what those say who answer.

        :raises PluginUnavailableError: none answered.
        """
        return tuple(answer for answer in self.every(ask) if not isinstance(answer, Unanswered))
