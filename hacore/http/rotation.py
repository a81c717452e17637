"""Several servers that stand for one: tried in turn, each with a share of the time, so that one that never answers costs no call.

A request that may be repeated moves on to the next server while there is time, or goes to the only one again if that was silent. One that
may not is sent once: as soon as a server may have received it, silence means "unknown", and only whoever asked can find out, by reading
again.
"""

import random
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from hacore.http.connection import Broken, NotSentError
from hacore.model.clock import Clock, Instant

T = TypeVar("T")


class NoAnswerError(OSError):
    """No server answered in time: the outcome is unknown."""


class Rotation:
    """Endpoints in the order in which they are tried: one that has failed stands last.

    :param shuffled: begin with any of them, which spreads many clients over the servers; else with the first.
    """

    def __init__(self, endpoints: Iterable[str], clock: Clock, *, shuffled: bool) -> None:
        self._named = named = tuple(dict.fromkeys(endpoints))  # what the configuration says stays, as a last resort
        self._clock = clock
        self._mutex = threading.Lock()
        self._order = random.sample(named, len(named)) if shuffled else list(named)

    @property
    def order(self) -> tuple[str, ...]:
        """Return the endpoints in the order in which they are tried."""
        with self._mutex:
            return tuple(self._order)

    @property
    def named(self) -> tuple[str, ...]:
        """Return the endpoints that stay."""
        return self._named

    def learn(self, found: Iterable[str], *, named: tuple[str, ...] | None = None) -> None:
        """Use these endpoints beside the configured ones, and no others; ``named``: in the place of the configured ones."""
        with self._mutex:
            self._named = self._named if named is None else named
            wanted = dict.fromkeys((*found, *self._named))
            new = [endpoint for endpoint in wanted if endpoint not in self._order]
            self._order = [endpoint for endpoint in self._order if endpoint in wanted] + random.sample(new, len(new))

    def move_back(self, endpoint: str) -> None:
        """Try this one last."""
        with self._mutex:
            if endpoint in self._order:
                self._order.remove(endpoint)
                self._order.append(endpoint)

    def ask(self, send: Callable[[str, Instant, Instant], T], *, until: Instant, repeatable: bool) -> T:
        """Return the first answer.

        :param send: sends the request to an endpoint: gets it, until when it must be connected, and until when the answer must be there.
            It raises one of :data:`hacore.http.connection.Broken` where the endpoint is at fault; anything else is raised at once.
        :raises NoAnswerError: none came before ``until``.
        """
        faults = []
        endpoints = self.order
        is_alone = repeatable and len(endpoints) == 1
        if is_alone:  # it may stand for several, of which another gets the next connection where this one is silent
            endpoints *= 2
        for index, endpoint in enumerate(endpoints):
            share = self._share(until, last=index == len(endpoints) - 1)
            try:
                answer = send(endpoint, share, share if repeatable else until)
            except Broken as error:
                faults.append(f"{endpoint}: {str(error) or type(error).__name__}")
                self.move_back(endpoint)
                if not (repeatable or isinstance(error, NotSentError)) or (is_alone and not _is_silence(error)):
                    break
            else:
                if self._clock.now() <= until:
                    return answer
                faults.append(f"{endpoint}: the answer came too late")
            if self._clock.now() >= until:
                break
        raise NoAnswerError(f"no answer in time ({'; '.join(faults)})")

    def _share(self, until: Instant, *, last: bool) -> Instant:
        """Give an endpoint half of what is left, so that one that never answers does not use up the time of the next."""
        now = self._clock.now()
        return until if last else now + (until - now) / 2


def _is_silence(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)
