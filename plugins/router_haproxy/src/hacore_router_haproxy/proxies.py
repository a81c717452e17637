"""All proxies of one section."""

from collections.abc import Callable
from typing import Final, TypeVar

from hacore.http.together import Together, Unanswered
from hacore.interfaces import Job
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy.proxy import Proxy
from hacore_router_haproxy.settings import HaproxySettings

_PAUSE_S: Final = 0.05
T = TypeVar("T")


class Proxies(Together[Proxy]):
    """Asked at the same time."""

    def __init__(self, settings: HaproxySettings) -> None:
        super().__init__((Proxy(place, settings) for place in settings.stats_sockets), "haproxy")
        self._timeout_s = settings.timeout_s

    def exchange(self, clock: Clock, until: Instant | None = None) -> Instant:
        """Return the end of one proxy's turn."""
        ends_at = clock.now() + self._timeout_s
        return ends_at if until is None else min(ends_at, until)

    def of_each(self, ask: Callable[[Proxy], T]) -> dict[Proxy, T | Unanswered]:
        """Ask every proxy; return what each answers.

        :raises PluginUnavailableError: none answered.
        """
        return dict(zip(self, self.every(ask), strict=True))

    def wait_for_sessions(self, member: str, clock: Clock, until: Instant, job: Job) -> int:
        """Wait until no session is open, and return how many are left."""
        while True:
            answers = self.every(lambda proxy: proxy.sessions(member, clock=clock, until=self.exchange(clock)))
            left = sum(answer for answer in answers if not isinstance(answer, Unanswered))
            if not left or clock.now() + _PAUSE_S > until:
                return left
            job.wait(_PAUSE_S)
