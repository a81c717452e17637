"""The one lease of a session: granted when it is needed, kept alive, granted anew when it was lost or its time changes."""

import math
from typing import Final

from hacore.model.clock import Clock, Instant
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.picture import Picture
from hacore_dcs_etcd.wire import number

_HALF: Final = 0.5


class ServerLease:
    """What etcd ends a session's keys with. ``number`` is 0 while there is none."""

    def __init__(self, client: Client, clock: Clock, picture: Picture) -> None:
        self._client = client
        self._clock = clock
        self._picture = picture  # an answer also says how far the server is
        self.number = 0
        self.ttl_s = 0
        self._kept_at: Instant = -math.inf
        self._led_at: Instant = -math.inf

    def lead(self, ttl_s: float, *, until: Instant) -> Instant:
        """Keep it for a lock that is asked for or renewed, too."""
        self._led_at = self._clock.now()
        return self.keep(ttl_s, until=until)

    def leave_idle(self, leader_on: int | None) -> None:
        """Do without it where a lock hangs on it that nobody renews: the lock would live as long as the member record."""
        if leader_on == self.number and self._clock.now() - self._led_at > self.ttl_s * _HALF:
            self.forget()

    def keep(self, ttl_s: float, *, until: Instant) -> Instant:
        """Make sure that the lease lasts ``ttl_s`` from now on.

        :returns: when the request that did so was sent.
        """
        if self.lasts(ttl_s):
            sent_at = self._clock.now()
            answer = self._client.call("lease/keepalive", {"ID": self.number}, until=until, repeatable=True)
            result = answer.get("result", {})
            if number(result, "TTL") > 0:
                self._kept_at = sent_at
                self._picture.confirm(sent_at, number(result.get("header", {}), "revision"))
                return sent_at
        self.forget()
        sent_at = self._clock.now()
        answer = self._client.call("lease/grant", {"TTL": math.ceil(ttl_s)}, until=until, repeatable=True)
        self.number, self.ttl_s, self._kept_at = number(answer, "ID"), math.ceil(ttl_s), sent_at
        return sent_at

    def lasts(self, ttl_s: float) -> bool:
        """Tell whether there is a lease of this time."""
        return self.number != 0 and math.ceil(ttl_s) == self.ttl_s

    def is_due(self) -> bool:
        """Tell whether half of its time has passed since it was kept alive."""
        return self._clock.now() - self._kept_at > self.ttl_s * _HALF

    def forget(self) -> None:
        """Do without it; it ends by itself."""
        self.number, self._kept_at = 0, -math.inf
