"""How requests and answers of etcd's JSON gateway are written. Pure: values in, values out.

Keys and values travel in base64, numbers as text, and a zero or a false is left out altogether.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put, Refused, Written
from hacore.model.lease import Lock

_DIGITS: Final = 19  # of a signed number of 64 bits
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kv:
    """One key as it stands."""

    name: str  # relative to the cluster
    value: str
    created: int  # revision that created the key
    version: int  # revision of its last write
    lease: int  # 0: it does not end


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one cluster: ``/service/demo/``."""

    prefix: str

    @classmethod
    def of(cls, namespace: str, scope: str) -> "Keys":
        """Build the prefix; double slashes count as one."""
        parts = [part for part in f"{namespace}/{scope}".split("/") if part]
        return cls(prefix="/" + "/".join(parts) + "/")

    def key(self, name: str) -> str:
        """Return the encoded key of a record."""
        return encode(self.prefix + name)

    def all(self) -> dict[str, str]:
        """Return the range over everything below the prefix."""
        return {"key": encode(self.prefix), "range_end": encode(self.prefix[:-1] + chr(ord("/") + 1))}

    def one(self, name: str) -> dict[str, Any]:
        """Return the operation that reads one record."""
        return {"request_range": {"key": self.key(name)}}

    def read(self) -> dict[str, Any]:
        """Return the operation that reads everything."""
        return {"request_range": self.all()}

    def put(self, name: str, value: str, lease: int = 0) -> dict[str, Any]:
        """Return the operation that writes one record."""
        return {"request_put": {"key": self.key(name), "value": encode(value), "lease": lease}}

    def delete(self, name: str) -> dict[str, Any]:
        """Return the operation that removes one record."""
        return {"request_delete_range": {"key": self.key(name)}}

    def writes(self, puts: Iterable[Put]) -> list[dict[str, Any]]:
        """Return the operations of a request."""
        return [self.delete(put.name) if put.value is None else self.put(put.name, put.value) for put in puts]

    def absent(self, name: str) -> dict[str, Any]:
        """Return the comparison that holds while there is no such record."""
        return {"key": self.key(name), "target": "CREATE", "result": "EQUAL", "create_revision": 0}

    def held(self, name: str, lock: Lock) -> list[dict[str, Any]]:
        """Return the comparisons that hold while exactly this lock stands."""
        created = {"key": self.key(name), "target": "CREATE", "result": "EQUAL", "create_revision": _instance(lock)}
        return [created, {"key": self.key(name), "target": "VALUE", "result": "EQUAL", "value": encode(lock.holder)}]

    def compares(self, puts: Iterable[Put]) -> list[dict[str, Any]]:
        """Return the comparisons with the versions that a request expects."""
        return [
            {"key": self.key(put.name), "target": "MOD", "result": "EQUAL", "mod_revision": put.expected}
            if put.expected
            else self.absent(put.name)
            for put in puts
            if put.expected is not None
        ]

    def kv(self, found: Json) -> Kv:
        """Read one key of an answer."""
        return Kv(
            name=decode(found["key"]).removeprefix(self.prefix),
            value=decode(found.get("value", "")),
            created=number(found, "create_revision"),
            version=number(found, "mod_revision"),
            lease=number(found, "lease"),
        )

    def kvs(self, found: Json) -> list[Kv]:
        """Read the keys of an answer to a range."""
        return [self.kv(one) for one in found.get("kvs", ())]

    def refusal(self, answer: Json) -> Refused:
        """Read the answer to a transaction whose comparison failed; it has read the lock."""
        found = [kv for part in ranges(answer) for kv in self.kvs(part)]
        return Refused(holder=found[0].value if found else None)

    def written(self, answer: Json, puts: Iterable[Put]) -> Written | Refused:
        """Read the answer to a transaction that writes."""
        if not answer.get("succeeded"):
            return self.refusal(answer)
        return Written(versions=tuple(0 if put.value is None else revision_of(answer) for put in puts))


def encode(text: str) -> str:
    """Encode a key or value; what was no UTF-8 when it was read goes back as it was."""
    return b64encode(text.encode(errors="surrogateescape")).decode()


def decode(text: str) -> str:
    """Decode a key or value."""
    return b64decode(text).decode(errors="surrogateescape")


def number(answer: Json, name: str) -> int:
    """Read a number; absent means 0."""
    return int(answer.get(name) or 0)


def revision_of(answer: Json) -> int:
    """Read the revision of the store that an answer shows."""
    revision = number(answer.get("header", {}), "revision")
    if revision <= 0:
        raise DcsUnavailableError("etcd: an answer without a revision")
    return revision


def ranges(answer: Json) -> list[Json]:
    """Return the answers to the reads of a transaction, in their order."""
    return [one["response_range"] for one in answer.get("responses", ()) if "response_range" in one]


def _instance(lock: Lock) -> int:
    """Return the revision that a lock instance names; one that no etcd can have named compares unequal with all."""
    return int(lock.instance) if lock.instance.isdecimal() and len(lock.instance) < _DIGITS else -1
