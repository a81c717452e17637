"""Several servers that a plugin asks the same at the same time: one that hangs must not hold up the others."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from hacore.errors import PluginUnavailableError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why one did not answer."""

    reason: str


class Together(Generic[Asked]):
    """Asks every one. Its threads are made when they are first needed: with one there are none.

    :param name: of its threads.
    """

    def __init__(self, ones: Iterable[Asked], name: str) -> None:
        self._ones, self._name = tuple(ones), name
        self._pool: ThreadPoolExecutor | None = None

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._ones)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def every(self, ask: Callable[[Asked], Answer]) -> tuple[Answer | Unanswered, ...]:
        """Ask every one; return what they answer, in their order.

        :raises PluginUnavailableError: none answered.
        """

        def answer_of(one: Asked) -> Answer | Unanswered:
            try:
                return ask(one)
            except PluginUnavailableError as error:
                return Unanswered(str(error))

        if len(self._ones) == 1:
            return (ask(self._ones[0]),)
        self._pool = self._pool or ThreadPoolExecutor(len(self._ones), thread_name_prefix=self._name)
        answers = tuple(self._pool.map(answer_of, self._ones))
        silent = [answer.reason for answer in answers if isinstance(answer, Unanswered)]
        if len(silent) == len(answers):
            raise PluginUnavailableError("; ".join(silent))
        return answers
