"""How records are written: object by object, each in one write, by comparison, and under a lock only while it stands.

A leader writes another object than its own only under its stamp. Who takes the lock stamps them all: a write of an earlier leader that is
still on its way then compares a version that is gone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put, Refused, Written
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore_dcs_kubernetes import records
from hacore_dcs_kubernetes.objects import Change, ConflictError
from hacore_dcs_kubernetes.records import LEADER, OTHER, STAMP, Found
from hacore_dcs_kubernetes.shelf import Shelf

_CLAIMED: Final = tuple(home for home in records.HOMES if home not in (LEADER, OTHER))


def write(shelf: Shelf, puts: Iterable[Put], until: Instant, *, lock: Lock | None) -> dict[str, Found] | Refused:
    """Write records; of several objects all comparisons come before the first write."""
    by_home: dict[str, tuple[Put, ...]] = {}
    for put in puts:
        home = records.home_of(put.name)
        by_home[home] = (*by_home.get(home, ()), put)
    if len(by_home) > 1:
        for home, group in by_home.items():
            if not compares(shelf.read(home, until), group):
                return Refused()
    done: dict[str, Found] = {}
    for home, group in by_home.items():
        answer = _write_one(shelf, home, group, until, lock)
        if isinstance(answer, Refused):
            if done:
                raise DcsUnavailableError(f"kubernetes: of several objects {', '.join(done)} is written, {home} has changed meanwhile")
            return answer
        done[home] = answer
    return done


def claim(shelf: Shelf, lock: Lock, until: Instant) -> None:
    """Stamp every object that this leader may write; one that is not there is made, so that nobody else makes it."""
    for home in {*_CLAIMED, *shelf.homes()} - {LEADER}:
        found = shelf.known(home) or Found(home=home, annotations={}, spec={})
        while found.annotations.get(STAMP) != lock.instance:
            try:
                found = shelf.change(found, Change(annotations={STAMP: lock.instance}), until)
            except ConflictError:
                found = shelf.read(home, until)


def compares(found: Found, puts: Iterable[Put]) -> bool:
    """Tell whether the records of an object have the versions that are expected."""
    return all(put.expected is None or found.version_of(put.name) == put.expected for put in puts)


def changes(puts: Iterable[Put]) -> records.Changes:
    """Return the annotations of records of one object."""
    return records.all_changes((put.name, put.value) for put in puts)


def parted(puts: tuple[Put, ...]) -> tuple[tuple[Put, ...], tuple[Put, ...]]:
    """Return the puts that stand in the leader's object, and the others."""
    inside = tuple(put for put in puts if records.home_of(put.name) == LEADER)
    return inside, tuple(put for put in puts if records.home_of(put.name) != LEADER)


def written(puts: Iterable[Put], found: Mapping[str, Found]) -> Written:
    """Return the versions that were written."""
    return Written(versions=tuple(0 if put.value is None else found[records.home_of(put.name)].version for put in puts))


def refused(held: Lock | None) -> Refused:
    """Say no, and who holds the lock."""
    return Refused(holder=held.holder if held else None)


def _write_one(shelf: Shelf, home: str, puts: tuple[Put, ...], until: Instant, lock: Lock | None) -> Found | Refused:
    """Write into one object by what is known of it, read anew where that has changed."""
    found, is_fresh = shelf.known(home), False
    while True:
        if found is None:
            found, is_fresh = shelf.read(home, until), True
        # After the object was read: a leader that comes later stamps it, and so changes what is compared below.
        held = None if lock is None else shelf.lock(shelf.read(LEADER, until))
        if held != lock:
            return refused(held)
        if not compares(found, puts):
            if is_fresh:
                return refused(held)
            found = None
            continue
        stamp: records.Changes = {} if lock is None or home == LEADER else {STAMP: lock.instance}
        try:
            return shelf.change(found, Change(annotations={**changes(puts), **stamp}), until)
        except ConflictError:
            found = None
