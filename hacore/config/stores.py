"""Which section of a file names the store: exactly one, and one for which a plugin is there."""

from collections.abc import Collection, Mapping
from importlib import metadata
from typing import Any, Final

from hacore.config.fault import Path

GROUP: Final = "hacore.dcs"
# Sections by which the field names its stores: known also where no plugin for them is installed.
OF_THE_FIELD: Final = ("consul", "etcd", "etcd3", "exhibitor", "kubernetes", "raft", "zookeeper")
OWN: Final = ("sqlite",)
_DISTRIBUTIONS: Final = {
    "consul": "hacore-dcs-consul",
    "etcd3": "hacore-dcs-etcd",
    "exhibitor": "hacore-dcs-zookeeper",
    "kubernetes": "hacore-dcs-kubernetes",
    "sqlite": "hacore-dcs-sqlite",
    "zookeeper": "hacore-dcs-zookeeper",
}
_V2: Final = (
    "etcd: means the v2 keys API, a key space of its own, which hacore does not read: write etcd3: with the same keys;"
    " where Patroni runs with etcd:, first move all of Patroni to etcd3:, or hacore does not see its leader"
)


def installed_stores() -> frozenset[str]:
    """Return the names of all store plugins on this machine; nothing of them is loaded."""
    return frozenset(point.name for point in metadata.entry_points(group=GROUP))


def choose(values: Mapping[str, Any], installed: Collection[str]) -> tuple[str | None, dict[Path, str]]:
    """Return the name of the store's section, or what is wrong."""
    known = sorted({*installed, *OWN, *OF_THE_FIELD})
    named = [name for name in values if name in known]
    wanted = " or ".join(f"{name}:" for name in sorted(installed)) or "the section of an installed plugin"
    if not named:
        return None, {(): f"no section names a store: write {wanted}"}
    if "etcd" in named and "etcd" not in installed:
        return None, {("etcd",): _V2}
    if len(named) > 1:
        return None, {(name,): f"one store: {' and '.join(named)} both name one" for name in named[1:]}
    (name,) = named
    if name not in installed:
        return None, {(name,): f"no plugin for the store {name} is installed: {_remedy(name)}write {wanted}"}
    return name, {}


def _remedy(name: str) -> str:
    distribution = _DISTRIBUTIONS.get(name)
    return f"install {distribution}, or " if distribution else ""
