"""All proxies of one section, asked at the same time: one that hangs must not hold up the others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Job
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy.proxy import Proxy
from hacore_router_haproxy.settings import HaproxySettings

_PAUSE_S: Final = 0.05
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a proxy did not answer."""

    reason: str


class Proxies:
    """Asks every proxy. Its threads are made when they are first needed: with one proxy there are none."""

    def __init__(self, settings: HaproxySettings) -> None:
        self._timeout_s = settings.timeout_s
        self._proxies = tuple(Proxy(place, settings) for place in settings.stats_sockets)
        self._pool: ThreadPoolExecutor | None = None

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self._proxies)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def exchange(self, clock: Clock, until: Instant | None = None) -> Instant:
        """Return the end of one proxy's turn."""
        ends_at = clock.now() + self._timeout_s
        return ends_at if until is None else min(ends_at, until)

    def every(self, ask: Callable[[Proxy], T]) -> dict[Proxy, T | Unanswered]:
        """Ask every proxy, at the same time: one that hangs must not hold up the others.

        :raises PluginUnavailableError: none answered.
        """

        def one(proxy: Proxy) -> T | Unanswered:
            try:
                return ask(proxy)
            except PluginUnavailableError as error:
                return Unanswered(str(error))

        if len(self._proxies) == 1:
            answers = {self._proxies[0]: one(self._proxies[0])}
        else:
            self._pool = self._pool or ThreadPoolExecutor(len(self._proxies), thread_name_prefix="haproxy")
            answers = dict(zip(self._proxies, self._pool.map(one, self._proxies), strict=True))
        silent = [answer.reason for answer in answers.values() if isinstance(answer, Unanswered)]
        if len(silent) == len(answers):
            raise PluginUnavailableError("; ".join(silent))
        return answers

    def wait_for_sessions(self, member: str, clock: Clock, until: Instant, job: Job) -> int:
        """Wait until no session is open, and return how many are left."""
        while True:
            answers = self.every(lambda proxy: proxy.sessions(member, clock=clock, until=self.exchange(clock)))
            left = sum(answer for answer in answers.values() if not isinstance(answer, Unanswered))
            if not left or clock.now() + _PAUSE_S > until:
                return left
            job.wait(_PAUSE_S)
