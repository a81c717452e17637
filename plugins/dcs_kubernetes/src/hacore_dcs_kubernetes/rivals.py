"""Locks of the same cluster in objects of another kind: as long as one of them lives, there would be two leaders.

A lock of the field's kind cannot be asked whether it lives: it does if it changes, and does not if it stands unchanged for its ttl on our
own clock. Until one or the other is known the session is not opened.
"""

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_kubernetes.client import Client, RefusedByServerError
from hacore_dcs_kubernetes.lock import LockRecord
from hacore_dcs_kubernetes.objects import KINDS, LEASES, ForeignObjectError, Kind, Objects, Place
from hacore_dcs_kubernetes.records import LEADER


class Rivals:
    """What was seen of them; outlives the attempts to open a session."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[LockRecord, Instant]] = {}

    def refuse(self, client: Client, kind: Kind, place: Place, *, clock: Clock, until: Instant) -> None:
        """See that none lives.

        :raises ConfigError: one does, or whether it does may not be read although it must.
        :raises DcsUnavailableError: not known yet.
        """
        for other in KINDS:
            if other is kind:
                continue
            objects = Objects(client, other, place)
            try:
                record = objects.lock(objects.get(LEADER, until))
            except ForeignObjectError:
                continue
            except RefusedByServerError as error:
                if not error.is_denial:
                    raise
                if kind is LEASES:
                    raise ConfigError(f"{error}, want a role that may get {other.resource}: a lock there must be seen") from error
                continue  # the field's own roles do not name the other kind
            self._judge(other, objects.name_of(LEADER), record, clock.now())

    def _judge(self, other: Kind, name: str, record: LockRecord, now: Instant) -> None:
        place = (other.name, name)
        known = self._seen.get(place)
        if record.lock is None:
            self._seen.pop(place, None)
            return
        if known is None:
            known = self._seen[place] = (record, now)
        if known[0] != record:
            self._seen.pop(place)
            raise ConfigError(
                f"kubernetes: {record.holder} holds the lock of this cluster in {other.name} {name} and renews it, want one kind"
            )
        left_s = known[1] + record.ttl_s - now
        if left_s > 0:
            raise DcsUnavailableError(
                f"kubernetes: {other.name} {name} names {record.holder} as leader: dead if unchanged for {left_s:.0f} s more"
            )
