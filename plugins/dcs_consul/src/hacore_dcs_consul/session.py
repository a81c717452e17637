"""The one session of an agent in Consul: created when it is needed, renewed, created anew when it was lost or its time changes.

Consul ends a session twice its ttl after the last renewal, so it is asked for half of ours. Servers refuse a ttl below their
``session_ttl_min``, 10 s where nobody has changed it: a shorter one is raised to that, and the keys stand for as long as that makes.
"""

import logging
import math
import re
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_consul.client import Client, RefusedTtlError

TIMES_TTL: Final = 2  # Consul waits this many times the ttl of a session
_HALF: Final = 0.5
_LOCK_DELAY: Final = "1ms"  # whoever challenges counts by himself
_LEAST: Final = re.compile(r"between \[((?:[\d.]+(?:h|ms|m|s))+)=")
_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
logger = logging.getLogger(__name__)


class ServerSession:
    """What Consul ends an agent's keys with. ``number`` is empty while there is none."""

    def __init__(self, client: Client, clock: Clock, *, name: str, checks: tuple[str, ...]) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._checks = checks
        self.number = ""
        self._ttl_s = 0.0  # of the session itself
        self._least_s = 0.0  # ... as far as the servers have said
        self._kept_at: Instant = -math.inf
        self._led_at: Instant = -math.inf

    def lead(self, ttl_s: float, *, until: Instant) -> Instant:
        """Keep it for a lock that is asked for or renewed, too."""
        self._led_at = self._clock.now()
        return self.keep(ttl_s, until=until)

    def leave_idle(self, held_by: str, ttl_s: float) -> None:
        """Do without it where it holds a lock that nobody renews: the lock would live as long as the member record."""
        if held_by == self.number and self._clock.now() - self._led_at > ttl_s * _HALF:
            self.forget()

    def keep(self, ttl_s: float, *, until: Instant) -> Instant:
        """Make sure that the session lasts ``ttl_s`` from now on.

        :returns: when the request that did so was sent.
        """
        if self.lasts(ttl_s):
            sent_at = self._clock.now()
            if self._client.put(f"session/renew/{self.number}", None, until=until, repeatable=True).is_found:
                self._kept_at = sent_at
                return sent_at
        self.forget()
        try:
            return self._create(ttl_s, until)
        except RefusedTtlError as error:
            self._raise(ttl_s, str(error))
            return self._create(ttl_s, until)

    def lasts(self, ttl_s: float) -> bool:
        """Tell whether there is a session of this time."""
        return bool(self.number) and self._wanted_s(ttl_s) == self._ttl_s

    def age_s(self) -> float:
        """Return how long ago the session was renewed."""
        return self._clock.now() - self._kept_at

    def forget(self) -> None:
        """Do without it; it ends by itself."""
        self.number, self._kept_at = "", -math.inf

    def _create(self, ttl_s: float, until: Instant) -> Instant:
        wanted_s = self._wanted_s(ttl_s)
        body = {
            "Name": self._name,
            "TTL": f"{wanted_s:g}s",
            "LockDelay": _LOCK_DELAY,
            "Behavior": "delete",
            "NodeChecks": self._checks,
            "Checks": self._checks,
        }
        sent_at = self._clock.now()
        answer = self._client.put("session/create", body, until=until, repeatable=True)  # one whose answer was lost holds no key
        self.number, self._ttl_s, self._kept_at = str(answer.content["ID"]), wanted_s, sent_at
        return sent_at

    def _wanted_s(self, ttl_s: float) -> float:
        return max(ttl_s / TIMES_TTL, self._least_s)

    def _raise(self, ttl_s: float, refusal: str) -> None:
        found = _LEAST.search(refusal)
        least_s = seconds(found[1]) if found else 0.0
        if least_s <= self._wanted_s(ttl_s):
            raise DcsUnavailableError(refusal)
        self._least_s = least_s
        stands_s = least_s * TIMES_TTL
        logger.warning(
            "Consul allows no session as short as the ttl: the lock stands for longer", extra={"ttl": ttl_s, "stands_s": stands_s}
        )


def seconds(duration: str) -> float:
    """Read a duration as Go writes it: ``1m30s``."""
    return sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(r"([\d.]+)(h|ms|m|s)", duration))
