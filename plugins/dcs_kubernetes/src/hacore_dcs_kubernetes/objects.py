"""The objects of one cluster in the API: their kinds and names, how they are read, compared and written. It knows no rule of the lock."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Instant
from hacore_dcs_kubernetes import lock, records
from hacore_dcs_kubernetes.client import Client, Json, RefusedByServerError
from hacore_dcs_kubernetes.lock import LockRecord
from hacore_dcs_kubernetes.records import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object that can hold the records of a cluster."""

    resource: str
    name: str
    version: str
    leader_suffix: str
    prefix: str = "/api/v1"


CONFIG_MAPS: Final = Kind(resource="configmaps", name="ConfigMap", version="v1", leader_suffix="-leader")
ENDPOINTS: Final = Kind(resource="endpoints", name="Endpoints", version="v1", leader_suffix="")
LEASES: Final = Kind(
    resource="leases", name="Lease", version="coordination.k8s.io/v1", leader_suffix="", prefix="/apis/coordination.k8s.io/v1"
)
KINDS: Final = (CONFIG_MAPS, ENDPOINTS, LEASES)


class ConflictError(DcsUnavailableError):
    """The object is not as it was compared. Nothing was written."""


class ForeignObjectError(DcsUnavailableError):
    """An object with a name of this cluster belongs to another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the objects of one cluster are, and how they are marked."""

    namespace: str
    scope: str
    scope_label: str
    labels: Mapping[str, str]

    @property
    def marks(self) -> dict[str, str]:
        """Return the labels of everything that belongs to the cluster."""
        return {**self.labels, self.scope_label: self.scope}

    @property
    def selector(self) -> str:
        """Return what selects everything that belongs to the cluster."""
        return ",".join(f"{name}={value}" for name, value in self.marks.items())

    def path(self, prefix: str, resource: str, name: str | None = None, **query: str) -> str:
        """Return the path of a collection or of one object in it."""
        path = f"{prefix}/namespaces/{quote(self.namespace, safe='')}/{resource}"
        path += f"/{quote(name, safe='')}" if name is not None else ""
        return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is written into an object: annotations, and fields beside its metadata."""

    annotations: records.Changes = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


class Objects:
    """Reads and writes them. Used by one thread at a time."""

    def __init__(self, client: Client, kind: Kind, place: Place) -> None:
        self.client = client
        self.kind = kind
        self.place = place
        self._homes = {self.name_of(home): home for home in records.HOMES}

    def name_of(self, home: str) -> str:
        """Return the name of an object."""
        return self.place.scope + (self.kind.leader_suffix if home == records.LEADER else f"-{home}")

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of a request for one of them: none that matters."""
        return {}

    def path(self, home: str | None = None, **query: str) -> str:
        """Return the path of one object, or of all of the namespace."""
        return self.place.path(self.kind.prefix, self.kind.resource, None if home is None else self.name_of(home), **query)

    def all_of_them(self, **query: str) -> str:
        """Return the path of all objects of the cluster."""
        return self.path(labelSelector=self.place.selector, **query)

    def list(self, until: Instant) -> tuple[int, dict[str, Found]]:
        """Read all of them as they stand at one revision, which is returned, too."""
        answer = self.client.get(self.all_of_them(), until=until)
        found = [self.keyed(item) for item in answer.get("items") or ()]
        return version_of(answer), dict(one for one in found if one is not None)

    def get(self, home: str, until: Instant) -> Found:
        """Read one as it stands now; version 0: it does not."""
        try:
            answer = self.client.get(self.path(home), until=until)
        except RefusedByServerError as error:
            if not error.is_absence:
                raise
            return Found(home=home, annotations={}, spec={})
        owner = (answer.get("metadata", {}).get("labels") or {}).get(self.place.scope_label, self.place.scope)
        if owner != self.place.scope:
            raise ForeignObjectError(
                f"kubernetes: {self.kind.name} {self.name_of(home)} belongs to {owner}, want another scope for one of the two"
            )
        return self._known(home, answer)

    def change(self, found: Found, change: Change, until: Instant) -> Found:
        """Write into an object that is still as it was found, or create it.

        :raises ConflictError: it is not. An answer that was lost is not mistaken for that: the word of each write tells.
        """
        word = secrets.token_hex(8)
        annotations: records.Changes = {**change.annotations, records.WRITE: word}
        metadata: dict[str, Any] = {"annotations": annotations, "labels": self.place.marks}
        body = {"metadata": metadata, **change.fields}
        try:
            if found.version == 0:
                metadata |= {
                    "name": self.name_of(found.home),
                    "annotations": {key: text for key, text in annotations.items() if text is not None},
                }
                body |= {"apiVersion": self.kind.version, "kind": self.kind.name}
                return self._known(found.home, self.client.write("POST", self.path(), body, until=until))
            metadata["resourceVersion"] = str(found.version)
            return self._known(found.home, self.client.write("PATCH", self.path(found.home), body, until=until))
        except RefusedByServerError as error:
            if not error.is_conflict:
                raise
            if error.unsure:
                now = self.get(found.home, until)
                if now.annotations.get(records.WRITE) == word:
                    return now
                if now.version != found.version:  # it may have been written, and then somebody else's word over it
                    raise DcsUnavailableError(f"kubernetes: {found.home}: a write whose answer was lost, and another after it") from error
            raise ConflictError(str(error)) from error

    def lock(self, leader: Found) -> LockRecord:
        """Return the lock that stands in the leader's object."""
        return lock.from_lease(leader.spec) if self.kind is LEASES else lock.from_annotations(leader.annotations)

    def with_lock(self, record: LockRecord, annotations: records.Changes, fields: Mapping[str, Any]) -> Change:
        """Return the change that writes the lock into the leader's object, beside annotations and fields."""
        if self.kind is LEASES:
            return Change(annotations=annotations, fields={**fields, "spec": record.as_lease()})
        return Change(annotations={**record.as_annotations(), **annotations}, fields=fields)

    def keyed(self, item: Json) -> tuple[str, Found] | None:
        """Read an object of an answer, with its home; ``None``: it is none of this cluster's."""
        home = self._homes.get(str(item.get("metadata", {}).get("name")))
        return None if home is None else (home, self._known(home, item))

    def _known(self, home: str, item: Json) -> Found:
        metadata = item.get("metadata", {})
        return Found(home=home, version=version_of(item), annotations=metadata.get("annotations") or {}, spec=item.get("spec") or {})


def version_of(answer: Json) -> int:
    """Return the version of an object, or of a reading."""
    try:
        return int(answer["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError) as error:
        raise DcsUnavailableError("kubernetes: an answer without a resource version") from error
