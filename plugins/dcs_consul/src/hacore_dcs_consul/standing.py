"""What stands in the store of one cluster, as it was read last, and since when each version has been known.

The leader key and the own member record are kept as keys, with the index and the session that the next transaction compares.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Snapshot
from hacore.model.clock import Clock, Instant
from hacore.model.lease import Lock
from hacore.sightings import Sightings
from hacore_dcs_consul.client import Client
from hacore_dcs_consul.picture import Kept, Picture
from hacore_dcs_consul.wire import Keys, Kv

LEADER: Final = "leader"
MEMBERS: Final = "members/"
logger = logging.getLogger(__name__)


class Standing:
    """Read whole, at one moment, and consistent."""

    def __init__(self, client: Client, keys: Keys, sightings: Sightings, clock: Clock, kept: Picture, *, member: str) -> None:
        self.keys = keys
        self.member = member
        self.own_record = MEMBERS + member
        self.leader: Kv | None = None  # the key of the lock; one without a session is no lock
        self.published: Kv | None = None  # the own record
        self._client = client
        self._sightings = sightings
        self._clock = clock
        self._kept = kept
        self._newest = 0  # index
        self._shown: frozenset[str] = frozenset()  # names

    @property
    def holder(self) -> str | None:
        """Return who holds the lock."""
        return self.leader.value if self.leader is not None and self.leader.session else None

    def read(self, until: Instant) -> Snapshot:
        """Ask for everything below the prefix."""
        sent_at = self._clock.now()
        answer = self._client.read(self.keys.path(), {"recurse": "", "consistent": ""}, until=until)
        if answer.is_filtered:
            raise DcsUnavailableError("consul: the token may not read every record of the cluster")
        if answer.index < self._newest:  # also where it has forgotten a deletion, after a quiet quarter of an hour: costs only a count
            logger.warning("the store has gone back or is another one", extra={"index": answer.index, "seen": self._newest})
            self._sightings.forget()
        self._newest = answer.index
        found = {kv.name: kv for kv in self.keys.kvs(answer.content or ())}
        self._kept.read(Kept(sent_at=sent_at, index=answer.index, found=found))
        return self.picture(sent_at, found)

    def recall(self, max_age_s: float) -> Snapshot | None:
        """Return what the watch has kept, if it will do."""
        kept = self._kept.recall(self._clock.now(), max_age_s)
        return None if kept is None else self.picture(kept.sent_at, kept.found)

    def picture(self, sent_at: Instant, shown: Mapping[str, Kv]) -> Snapshot:
        """Take note of everything that a reading has shown."""
        found = dict(shown)
        self._newest = max([self._newest, *(kv.version for kv in found.values())])
        self._shown = frozenset(found)
        self.leader, self.published = found.pop(LEADER, None), found.get(self.own_record)
        seen = {name: self._sightings.read(name, kv.value, kv.version) for name, kv in found.items()}
        return Snapshot(
            sent_at=sent_at,
            revision=None,
            lock=lock_of(self.leader) if self.leader is not None and self.leader.session else None,
            records={name: record for name, record in seen.items() if not name.startswith(MEMBERS)},
            members={name.removeprefix(MEMBERS): record for name, record in seen.items() if name.startswith(MEMBERS)},
        )

    def is_less(self, shown: Iterable[str], removed: Iterable[str]) -> bool:
        """Tell whether records are missing that were there, beside those that are removed: deleted, or not for our eyes any more."""
        return not self._shown.issubset({*shown, *removed})

    def find(self, lock: Lock, until: Instant) -> Kv | None:
        """Return the key of exactly this lock, as far as it stands."""
        if self.leader is None or lock_of(self.leader) != lock:
            self.read(until)
        return self.leader if self.leader is not None and lock_of(self.leader) == lock else None


def lock_of(key: Kv) -> Lock:
    """Return the lock that a leader key is; its instance is empty where it is none."""
    return Lock(holder=key.value, instance=str(key.created) if key.session else "")
