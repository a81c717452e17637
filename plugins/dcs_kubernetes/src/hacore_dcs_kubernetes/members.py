"""The members' records: annotations of their pods, with the labels that Services select by.

An annotation does not end by itself, and a pod outlives an agent. So a member counts for as long as its record, or the beat beside it,
changes within its ttl on the reader's own clock, or it holds the lock. A record that another product wrote has no beat: it stands as long
as the pod.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Record
from hacore.model.clock import Clock, Instant
from hacore.sightings import Sightings
from hacore_dcs_kubernetes.client import METADATA, METADATA_OF_ALL, Client, Json
from hacore_dcs_kubernetes.objects import Place
from hacore_dcs_kubernetes.settings import KubernetesSettings

STATUS: Final = "status"
BEAT: Final = "hacore"
_CORE: Final = "/api/v1"
_BEAT_AFTER: Final = 0.45  # of the ttl: each second turn with the field's usual times
_PRIMARY: Final = ("primary", "master", "standby_leader")
_BOOTSTRAPPING: Final = (
    "initializing new cluster",
    "running custom bootstrap script",
    "starting after custom bootstrap",
    "creating replica",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What stands beside a record that this plugin wrote."""

    ttl_s: float
    number: int
    version: int  # of the record: the pod's, before it was written
    of: str  # checksum of the record: another product's record is not ours to let end

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> "Beat | None":
        """Read the beat of a record; ``None``: it has none, or one of an earlier record."""
        try:
            found = json.loads(annotations[BEAT])
            beat = cls(ttl_s=float(found["ttl"]), number=int(found["beat"]), version=int(found["version"]), of=str(found["of"]))
        except (KeyError, TypeError, ValueError):
            return None
        return beat if beat.of == checksum(annotations.get(STATUS, "")) else None

    def text(self) -> str:
        """Return the annotation."""
        return json.dumps({"ttl": self.ttl_s, "beat": self.number, "version": self.version, "of": self.of}, separators=(",", ":"))


class Members:
    """Reads all pods of the cluster and writes to the own one. Used by one thread at a time."""

    def __init__(self, *, client: Client, place: Place, settings: KubernetesSettings, member: str, clock: Clock) -> None:
        self._client = client
        self._place = place
        self._settings = settings
        self._member = member
        self._clock = clock
        self._sightings = Sightings(clock)
        self._own: Mapping[str, Any] | None = None  # metadata of the own pod, as seen last
        self._beaten_at: Instant | None = None

    def read(self, holder: str | None, until: Instant) -> dict[str, Record]:
        """Return the records of the members that count; of whoever holds the lock, too."""
        path = self._place.path(_CORE, "pods", labelSelector=self._place.selector)
        answer = self._client.get(path, until=until, headers=METADATA_OF_ALL)
        pods = {str(pod["metadata"]["name"]): pod["metadata"] for pod in answer.get("items") or ()}
        if self._member in pods:
            self._own = pods[self._member]
        found = {name: self._record(name, pod, is_holder=name == holder) for name, pod in pods.items()}
        return {name: record for name, record in found.items() if record is not None}

    def publish(self, value: str, *, leads: bool, ttl_s: float, until: Instant) -> None:
        """Write the own record and labels where they differ, and a beat where the last one is not young any more."""
        own = self._own or self.look(until)
        annotations: Mapping[str, str] = own.get("annotations") or {}
        beat = Beat.read(annotations)
        changed = annotations.get(STATUS) != value
        labels = self._label_changes(value, own.get("labels") or {}, leads=leads)
        young = self._beaten_at is not None and self._clock.now() - self._beaten_at < ttl_s * _BEAT_AFTER
        if beat is not None and not changed and not labels and young and beat.ttl_s == ttl_s:
            return
        version = beat.version if beat is not None and not changed else int(own["resourceVersion"])
        following = Beat(ttl_s=ttl_s, number=beat.number + 1 if beat else 1, version=version, of=checksum(value))
        sent_at = self._clock.now()
        self._write({STATUS: value, BEAT: following.text()}, labels, until)
        self._beaten_at = sent_at

    def withdraw(self, until: Instant) -> None:
        """Remove the own record and the label of its role."""
        own = self._own or self.look(until)
        roles = (self._settings.role_label, self._settings.tmp_role_label)
        labels = {name: None for name in roles if name is not None and name in (own.get("labels") or {})}
        self._write({STATUS: None, BEAT: None}, labels, until)

    def look(self, until: Instant) -> Mapping[str, Any]:
        """Read the own pod's metadata; it must be one of the cluster's."""
        self._own = self._client.get(self._place.path(_CORE, "pods", self._member), until=until, headers=METADATA)["metadata"]
        return self._own or {}

    def lacking(self) -> str | None:
        """Say what the own pod, as it was seen last, lacks for being found as a member."""
        labels = (self._own or {}).get("labels") or {}
        missing = [f"{name}={value}" for name, value in self._place.marks.items() if labels.get(name) != value]
        return f"pod {self._member}: want the labels {', '.join(missing)}" if missing else None

    @property
    def uid(self) -> str | None:
        """Return the identity of the own pod, once it was seen."""
        return (self._own or {}).get("uid")

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        self._sightings.forget()
        self._own, self._beaten_at = None, None

    def _record(self, name: str, pod: Json, *, is_holder: bool) -> Record | None:
        annotations: Mapping[str, str] = pod.get("annotations") or {}
        if STATUS not in annotations:
            return None
        value, beat = annotations[STATUS], Beat.read(annotations)
        if beat is None:
            return self._sightings.read(name, value, int(pod["resourceVersion"]))
        seen = self._sightings.read(f"{name} beats", beat.text(), beat.version)
        if not is_holder and self._clock.now() >= seen.received_at + beat.ttl_s:
            return None
        return self._sightings.read(name, value, beat.version)

    def _write(self, annotations: dict[str, str | None], labels: Mapping[str, str | None], until: Instant) -> None:
        self._own = None  # until the answer tells
        body = {"metadata": {"annotations": annotations, **({"labels": labels} if labels else {})}}
        path = self._place.path(_CORE, "pods", self._member)
        answer = self._client.write("PATCH", path, body, until=until, headers=METADATA)
        if "metadata" not in answer:
            raise DcsUnavailableError(f"kubernetes: pod {self._member}: an answer without metadata")
        self._own = answer["metadata"]

    def _label_changes(self, value: str, present: Mapping[str, str], *, leads: bool) -> dict[str, str | None]:
        wanted = self._labels(value, leads=leads)
        return {name: text for name, text in wanted.items() if present.get(name) != text}

    def _labels(self, value: str, *, leads: bool) -> dict[str, str | None]:
        """Return the labels of a pod by the role of its member; ``None``: to be removed."""
        settings = self._settings
        role, state = _role_and_state(value)
        follows = state == "running" and role not in _PRIMARY
        literal = "primary" if leads else role if follows else None
        if leads:
            shown = settings.standby_leader_label_value if role == "standby_leader" else settings.leader_label_value
            label: str | None = shown
        else:
            label = (settings.follower_label_value if role == "replica" else role) if follows else None
        labels = {settings.role_label: label}
        if settings.tmp_role_label is not None:
            labels[settings.tmp_role_label] = literal
        return labels | {name: text if state in _BOOTSTRAPPING else None for name, text in settings.bootstrap_labels}


def checksum(text: str) -> str:
    """Return what tells one record from another."""
    return f"{zlib.crc32(text.encode(errors='surrogateescape')):08x}"


def _role_and_state(value: str) -> tuple[str, str]:
    try:
        found = json.loads(value)
        return str(found.get("role", "")), str(found.get("state", ""))
    except (ValueError, AttributeError):
        return "", ""
