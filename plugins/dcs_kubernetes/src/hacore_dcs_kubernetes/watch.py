"""What the watches of a session tell: when the loop must act, new versions as early as possible, and the pictures of objects and pods.

The loop is woken when the lock changes hands or has expired, when ``config``, ``failover`` or another leader's ``status`` changes, and each
time that the watch of the objects begins anew. The server tells nobody that a lock has expired: an alarm rings then. A leader renews
before half of its lease is spent, so a watch of the objects that is silent for longer is suspicious by itself; one of pods has nothing
regular but bookmarks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.model.clock import Clock
from hacore.model.lease import Lock
from hacore.sightings import Sightings, longest_silence_s
from hacore_dcs_kubernetes.alarm import Alarm
from hacore_dcs_kubernetes.follower import Follower, Listener, Means
from hacore_dcs_kubernetes.heard import HEARD, Sent, of_member
from hacore_dcs_kubernetes.lock import OwnClock
from hacore_dcs_kubernetes.objects import Objects
from hacore_dcs_kubernetes.picture import Picture
from hacore_dcs_kubernetes.pods import Metadata, Pods
from hacore_dcs_kubernetes.records import CONFIG, FAILOVER, LEADER, Found

_QUIET_S: Final = 135.0  # of a watch without changes: a server sends a bookmark in each minute
_WAKING: Final = {CONFIG: ("config",), FAILOVER: ("failover",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What session and watch share: with what clock, since when which version is known, and how everything stands."""

    clock: Clock
    own_clock: OwnClock
    sightings: Sightings
    beats: Sent  # what others tell that they have heard of: the own beats ...
    renewals: Sent  # ... and the own renewals of the lock
    objects: Picture[Found] = field(default_factory=Picture)
    pods: Picture[Metadata] = field(default_factory=Picture)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched, each by a client of its own."""

    objects: Objects
    pods: Pods
    of_pods: Listener[Metadata]  # hears of them
    ttl_s: float  # until another one is in force
    member: str  # whose session this is


class Watch:
    """One watch of the objects and one of the pods, until it is closed."""

    def __init__(self, watched: Watched, known: Known, means: Means) -> None:
        self.leading = False  # as the session knows: a leader need not hear of its own status
        self._objects = watched.objects
        self._member = watched.member
        self._known = known
        self._told: dict[str, object] = {}  # what was told of the things that wake
        self._wake: Callable[[], None] | None = None
        self._alarm: Alarm | None = None
        self._of_objects = Follower(watched.objects, known.objects, self, means, silence_s=longest_silence_s(watched.ttl_s))
        self._of_pods = Follower(watched.pods, known.pods, watched.of_pods, means, silence_s=_QUIET_S)

    def expect(self, ttl_s: float) -> None:
        """Take the ttl in force, which people change."""
        self._of_objects.silence_s = longest_silence_s(ttl_s)

    def note(self, lock: Lock | None) -> None:
        """Note whether this member leads, as its session has just seen it."""
        self.leading = lock is not None and lock.holder == self._member

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; ``wake`` is called from the threads of this watch."""

        def ring() -> None:
            self._told.pop(LEADER, None)  # should it be renewed after all, that is news
            wake()

        self._wake = wake
        self._alarm = Alarm(self._known.clock, ring)
        self._alarm.start()
        self._of_objects.start()
        self._of_pods.start()

    def close(self) -> None:
        """End the threads."""
        if self._alarm is not None:
            self._alarm.close()
        self._of_objects.close()
        self._of_pods.close()

    def listed(self, found: Mapping[str, Found]) -> None:
        """Take in how the objects stand, at the beginning of a watch."""
        for home in (LEADER, CONFIG, FAILOVER):
            self._note(found.get(home) or Found(home=home, annotations={}, spec={}))
        self._ring()

    def told(self, key: str, item: Found | None) -> None:
        """Take in a change of an object, and what its writer had heard of this session by then."""
        if item is not None and key == LEADER:
            self._known.objects.prove(self._known.beats.proven(of_member(item.annotations.get(HEARD), self._member)))
        if self._note(item or Found(home=key, annotations={}, spec={})):
            self._ring()

    def _ring(self) -> None:
        if self._wake is not None:
            self._wake()

    def _note(self, found: Found) -> bool:
        """Note every version; tell whether the loop must look."""
        shown = found.records
        for name, text in shown.items():
            self._known.sightings.watched(name, text, found.version)
        news = [self._is_news(name, shown.get(name)) for name in _WAKING.get(found.home, ())]
        if found.home == LEADER:
            is_news = self._is_news("status", shown.get("status")) and not self.leading
            news += [self._has_changed_hands(found), is_news]
        return any(news)

    def _has_changed_hands(self, leader: Found) -> bool:
        record = self._objects.lock(leader)
        expires_at = self._known.own_clock.watched(record)
        if self._alarm is not None:
            self._alarm.set(expires_at if record.lock is not None else None)
        return self._is_news(LEADER, record.lock)

    def _is_news(self, what: str, found: object) -> bool:
        known, self._told[what] = self._told.get(what), found
        return known != found
