"""How requests and answers of Consul's HTTP API are written. Pure: values in, values out.

Keys have no leading slash, values travel in base64, and an empty value is null.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hacore.interfaces import Put

Json = Mapping[str, Any]
Operation = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kv:
    """One key as it stands."""

    name: str  # relative to the cluster
    value: str
    created: int  # index that created the key
    version: int  # index of its last change
    session: str  # that it ends with; empty: it does not end


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one cluster: ``service/demo/``."""

    prefix: str

    @classmethod
    def of(cls, namespace: str, scope: str) -> "Keys":
        """Build the prefix; double slashes count as one."""
        return cls(prefix="/".join(part for part in f"{namespace}/{scope}".split("/") if part) + "/")

    def path(self, name: str = "") -> str:
        """Return where a record, or all of them, is read."""
        return "kv/" + quote(self.prefix + name)

    def tree(self) -> Operation:
        """Return the operation that reads everything."""
        return self._operation("get-tree", "")

    def lock(self, name: str, value: str, session: str) -> Operation:
        """Return the operation that writes a record which ends with the session. It fails where another session holds it."""
        return self._operation("lock", name, Value=encode(value), Session=session)

    def unlock(self, held: Kv) -> Operation:
        """Return the operation that takes a record from the session that it ends with."""
        return self._operation("unlock", held.name, Value=encode(held.value), Session=held.session)

    def absent(self, name: str) -> Operation:
        """Return the comparison that holds while there is no such record."""
        return self._operation("check-not-exists", name)

    def unchanged(self, name: str, version: int) -> Operation:
        """Return the comparison that holds while this version stands."""
        return self._operation("check-index", name, Index=version)

    def delete(self, name: str) -> Operation:
        """Return the operation that removes a record; it need not be there."""
        return self._operation("delete", name)

    def puts(self, puts: Iterable[Put]) -> list[Operation]:
        """Return the operations of a request, comparisons included."""
        return [operation for put in puts for operation in self._put(put)]

    def kvs(self, found: Iterable[Json]) -> list[Kv]:
        """Read the keys of an answer."""
        return [
            Kv(
                name=one["Key"].removeprefix(self.prefix),
                value=decode(one.get("Value") or ""),
                created=one["CreateIndex"],
                version=one["ModifyIndex"],
                session=one.get("Session") or "",
            )
            for one in found
        ]

    def _put(self, put: Put) -> list[Operation]:
        if put.value is not None:
            written = {"Value": encode(put.value)}
            if put.expected is None:
                return [self._operation("set", put.name, **written)]
            return [self._operation("cas", put.name, Index=put.expected, **written)]
        if put.expected is None:
            return [self.delete(put.name)]
        if put.expected == 0:
            return [self.absent(put.name)]
        return [self.unchanged(put.name, put.expected), self.delete(put.name)]  # delete-cas succeeds on a record that is gone

    def _operation(self, verb: str, name: str, **more: str | int) -> Operation:
        return {"KV": {"Verb": verb, "Key": self.prefix + name, **more}}


def has_deletions(operations: Iterable[Operation]) -> bool:
    """Tell whether something is removed, of which the answer does not tell the index."""
    return any(operation["KV"]["Verb"] == "delete" for operation in operations)


def encode(text: str) -> str:
    """Encode a value; what was no UTF-8 when it was read goes back as it was."""
    return b64encode(text.encode(errors="surrogateescape")).decode()


def decode(text: str) -> str:
    """Decode a value."""
    return b64decode(text).decode(errors="surrogateescape")
