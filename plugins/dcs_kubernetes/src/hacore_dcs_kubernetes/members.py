"""The members' records: annotations of their pods, with the labels that Services select by.

An annotation does not end by itself, and a pod outlives an agent: so the own member keeps a beat going beside its record.
"""

import math
from collections.abc import Mapping
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Record
from hacore.model.clock import Instant
from hacore_dcs_kubernetes import labels
from hacore_dcs_kubernetes.beats import BEAT, STATUS, Beat, Beats, checksum
from hacore_dcs_kubernetes.heard import Heard
from hacore_dcs_kubernetes.pods import Metadata, Pods
from hacore_dcs_kubernetes.settings import KubernetesSettings
from hacore_dcs_kubernetes.watch import Known

_BEAT_AFTER: Final = 0.45  # of the ttl: each second turn with the field's usual times
_AHEAD_AFTER: Final = 0.25  # likewise: the turn before that
_TOGETHER: Final = 0.1  # likewise: in the same turn


class Members:
    """Reads all pods of the cluster, or recalls them, and writes to the own one. Used by one thread at a time."""

    def __init__(self, *, pods: Pods, settings: KubernetesSettings, member: str, known: Known) -> None:
        self._pods = pods
        self._settings = settings
        self._member = member
        self._clock = known.clock
        self._picture = known.pods
        self._sent = known.beats
        self.beats = Beats(known.clock, known.pods, known.renewals)  # is told by the watch, too
        self._found: Mapping[str, Metadata] = {}
        self._own: Metadata | None = None  # of the own pod, as seen last
        self._beaten_at: Instant | None = None

    def read(self, until: Instant) -> Instant:
        """Read all pods; when that was sent."""
        sent_at = self._clock.now()
        revision, found = self._pods.list(until)
        self._picture.read(sent_at, revision, found)
        self._take(found)
        return sent_at

    def recall(self, since: Instant, *, wait_s: float) -> Instant | None:
        """Take all pods from the picture that the watch keeps, if it shows what was answered before ``since``; as of when."""
        self._picture.wait(wait_s)
        kept = self._picture.recall(since)
        if kept is None:
            return None
        self._take(kept.items)
        return kept.sent_at

    def records(self, holder: str | None, renewed_at: Instant | None) -> dict[str, Record]:
        """Return the records of the members that count; a renewal of the lock, seen at ``renewed_at``, is a beat of its holder."""
        if holder is not None and renewed_at is not None:
            self.beats.renewed(holder, renewed_at)
        found = {name: self.beats.record(name, pod, is_holder=name == holder) for name, pod in self._found.items()}
        return {name: record for name, record in found.items() if record is not None}

    def publish(self, value: str, *, leads: bool, ttl_s: float, heard: Heard | None, until: Instant) -> None:
        """Write the own record and labels where they differ, and a beat where nothing else is one: of who leads, its renewals are.

        With it goes since when the newest renewal of another leader is known.
        """
        own = self._own or self.look(until)
        annotations: Mapping[str, str] = own.get("annotations") or {}
        beat = Beat.read(annotations)
        changed = labels.changes(self._settings, value, own.get("labels") or {}, leads=leads)
        is_same = annotations.get(STATUS) == value and not changed and beat is not None and beat.ttl_s == ttl_s
        if not is_same or (not leads and self._is_due(ttl_s)):
            self._beat(own, value, changed, ttl_s, heard, until)

    def beat_if_due(self, heard: Heard | None, until: Instant) -> bool:
        """Write the beat now that the next ``publish`` would write, for it proves what the watch keeps; tell whether it was written."""
        own = self._own or {}
        annotations: Mapping[str, str] = own.get("annotations") or {}
        beat = Beat.read(annotations)
        if beat is None or self._beaten_at is None or not self._is_due(beat.ttl_s):
            return False
        self._beat(own, annotations[STATUS], {}, beat.ttl_s, heard, until)
        return True

    def heard(self) -> dict[str, Heard]:
        """Return the newest beat of each other member, and for how long it has been known."""
        now = self._clock.now()
        return {name: (beat.name, now - at) for name, (beat, at) in self.beats.newest().items() if name != self._member}

    def withdraw(self, until: Instant) -> None:
        """Remove the own record and the label of its role."""
        own = self._own or self.look(until)
        removed = labels.removals(self._settings, own.get("labels") or {})
        self._beaten_at = None
        self._write({STATUS: None, BEAT: None}, removed, until, proves=False)  # where they are gone already it changes nothing

    def look(self, until: Instant) -> Metadata:
        """Read the own pod's metadata; it must be one of the cluster's."""
        self._own = self._pods.get(self._member, until)
        return self._own

    def lacking(self) -> str | None:
        """Say what the own pod, as it was seen last, lacks for being found as a member."""
        present = (self._own or {}).get("labels") or {}
        missing = [f"{name}={value}" for name, value in self._pods.place.marks.items() if present.get(name) != value]
        return f"pod {self._member}: want the labels {', '.join(missing)}" if missing else None

    @property
    def uid(self) -> str | None:
        """Return the identity of the own pod, once it was seen."""
        return (self._own or {}).get("uid")

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        self.beats.forget()
        self._picture.interrupted()
        self._own, self._beaten_at = None, None

    def _take(self, found: Mapping[str, Metadata]) -> None:
        self._found = found
        self._own = found.get(self._member, self._own)

    def _is_due(self, ttl_s: float) -> bool:
        """Tell whether to beat: by the age of the last one, and once a turn early where it came together with the first member's.

        Members that take turns tell the leader in each of its turns that they have heard of it.
        """
        if self._beaten_at is None:
            return True
        age_s, beaten_at = self._clock.now() - self._beaten_at, self._beaten_at
        first, (_, first_at) = min(self.beats.newest().items(), default=(self._member, (None, beaten_at)))
        is_together = first < self._member and abs(first_at - beaten_at) < ttl_s * _TOGETHER
        return age_s >= ttl_s * (_AHEAD_AFTER if is_together else _BEAT_AFTER)

    def _beat(
        self, own: Metadata, value: str, changed: Mapping[str, str | None], ttl_s: float, heard: Heard | None, until: Instant
    ) -> None:
        annotations: Mapping[str, str] = own.get("annotations") or {}
        beat = Beat.read(annotations)
        is_same = beat is not None and annotations.get(STATUS) == value
        version = beat.version if beat is not None and is_same else int(own["resourceVersion"])
        following = Beat(ttl_s=ttl_s, number=beat.number + 1 if beat else 1, version=version, of=checksum(value), heard=heard)
        self._sent.note(following.name, self._clock.now())
        self._beaten_at = self._write({STATUS: value, BEAT: following.text()}, changed, until, proves=True)

    def _write(self, annotations: Mapping[str, str | None], changed: Mapping[str, str | None], until: Instant, *, proves: bool) -> Instant:
        """Write to the own pod; when that was sent."""
        self._own, sent_at = None, self._clock.now()  # until the answer tells
        metadata = {"annotations": annotations, **({"labels": changed} if changed else {})}
        try:
            self._own = self._pods.change(self._member, metadata, until)
        except DcsUnavailableError:
            self._picture.wrote(sent_at, math.inf)
            raise
        self._picture.wrote(sent_at if proves else -math.inf, int(self._own["resourceVersion"]))
        return sent_at
