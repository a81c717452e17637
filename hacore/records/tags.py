"""The tags of a member as its record publishes them (interface reference 1.2)."""

from collections.abc import Mapping
from typing import TypeVar

from hacore.convert import Converter, WrongValueError, flag, whole
from hacore.model.policy import Tags

T = TypeVar("T")


def read_tags(found: Mapping[str, object]) -> Tags:
    """Read tags. A well-known one with a value that means nothing counts as not set, as it does in the field."""
    nofailover, failover_priority = _standing(found, "nofailover", "failover_priority")
    nosync, sync_priority = _standing(found, "nosync", "sync_priority")
    replicatefrom = found.get("replicatefrom")
    return Tags(
        nofailover=nofailover,
        failover_priority=failover_priority,
        clonefrom=_read(flag, found, "clonefrom", otherwise=False),
        noloadbalance=_read(flag, found, "noloadbalance", otherwise=False),
        replicatefrom=replicatefrom if isinstance(replicatefrom, str) and replicatefrom else None,
        nosync=nosync,
        nostream=_read(flag, found, "nostream", otherwise=False),
        sync_priority=sync_priority,
        published=tuple((name, value) for name, value in found.items() if isinstance(value, str | int | float | bool)),
    )


def _standing(found: Mapping[str, object], refusal: str, priority: str) -> tuple[bool, int]:
    """Read a refusal and the priority that says the same as a number; where both stand, the refusal wins."""
    number = _read(whole(), found, priority, otherwise=1)
    refuses: bool | None = _read(flag, found, refusal, otherwise=None)
    if refuses is None:
        return number <= 0, max(number, 0)
    return refuses, 0 if refuses else max(number, 1)


def _read(convert: Converter[T], found: Mapping[str, object], name: str, *, otherwise: T) -> T:
    if found.get(name) is None:
        return otherwise
    try:
        return convert(found[name])
    except WrongValueError:
        return otherwise
