"""All PgBouncers that this agent drives."""

from collections.abc import Callable
from typing import TypeVar

from hacore.http.together import Together, Unanswered
from hacore_router_pgbouncer.pooler import Pooler

T = TypeVar("T")


class Poolers(Together[Pooler]):
    """Asked at the same time."""

    def close(self) -> None:
        """End their sessions, and the threads."""
        for one in self:
            one.close()
        super().close()

    def shown(self, ask: Callable[[Pooler], T]) -> tuple[T, ...]:
        """Ask every one; return what those say who answer.

        :raises PluginUnavailableError: none answered.
        """
        return tuple(answer for answer in self.every(ask) if not isinstance(answer, Unanswered))
