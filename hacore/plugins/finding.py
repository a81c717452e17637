"""Finding plugins by their entry points: which are installed, and loading those that are named. It knows no settings.

stevedore loads; its cache of entry points on disk is not used: its time stamps are coarse, so that a plugin that was just installed
anew would still be seen as it was.
"""

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from stevedore.named import NamedExtensionManager

from hacore.errors import PluginError
from hacore.hookspecs import KINDS
from hacore.plugins.declaration import check_class

GROUP_PREFIX: Final = "hacore."


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One entry point: that a distribution says it has a plugin. Nothing of it has been imported."""

    kind: str
    name: str
    target: str  # ``module:Class``
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.kind}, {self.target} of {self.distribution} {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The class of one plugin, and the kinds that it is declared for."""

    name: str
    plugin: type
    kinds: tuple[str, ...]
    declared: Declared


def declared(kinds: Iterable[str] = KINDS) -> tuple[Declared, ...]:
    """Return what is installed, sorted by kind and name; doubles included."""
    found = (_declared(kind, point) for kind in kinds for point in _entry_points(kind))
    order = {kind: number for number, kind in enumerate(KINDS)}
    return tuple(sorted(found, key=lambda one: (order[one.kind], one.name, one.distribution)))


def find(kind: str, name: str) -> Found:
    """Load the class of a plugin.

    :raises PluginError: it is missing, double, cannot be imported or is misdeclared; named with distribution, version and reason.
    """
    mine = _only([one for one in declared() if one.name == name], kind, name)
    plugin = _load(mine[0])
    check_class(plugin, [one.kind for one in mine], str(mine[0]))
    return Found(name=name, plugin=plugin, kinds=tuple(one.kind for one in mine), declared=mine[0])


def find_any(name: str) -> Found:
    """Load the class of a plugin of whatever kind.

    :raises PluginError: as ``find``.
    """
    kinds = [one.kind for one in declared() if one.name == name]
    if not kinds:
        raise PluginError(f"plugin {name}: not installed")
    return find(kinds[0], name)


def _only(found: list[Declared], kind: str, name: str) -> list[Declared]:
    of_kind = [one for one in found if one.kind == kind]
    if not of_kind:
        raise PluginError(f"plugin {name} ({kind}): not installed{_instead(found, kind)}")
    if len(of_kind) > 1:
        doubles = " and ".join(f"{one.distribution} {one.version} ({one.target})" for one in of_kind)
        raise PluginError(f"plugin {name} ({kind}): installed by {doubles}, want one")
    others = [one for one in found if one.target != of_kind[0].target]
    if others:
        raise PluginError(f"{of_kind[0]}: the name is also that of {others[0]}; one name is one class, in all groups")
    return [*of_kind, *(one for one in found if one.kind != kind)]


def _instead(found: list[Declared], kind: str) -> str:
    if found:
        return f"; there is one of that name of kind {found[0].kind}"
    known = sorted({one.name for one in declared([kind])})
    return f", installed are {', '.join(known)}" if known else ", none of this kind is"


def _load(one: Declared) -> type:
    failures: list[BaseException] = []
    try:
        group = _Group(one.kind, one.name, failures)
    except SystemExit as error:  # a module that ends the process when it is imported is one that cannot be imported
        failures.append(error)
    if failures:
        reason = f"{type(failures[0]).__name__}: {failures[0]}"
        raise PluginError(f"{one}: cannot be imported: {reason}") from failures[0]
    plugin: object = group[one.name].plugin
    if not isinstance(plugin, type):
        raise PluginError(f"{one}: {type(plugin).__name__} instead of a class")
    return plugin


class _Group(NamedExtensionManager[object]):
    """stevedore's manager for one name of one kind."""

    def __init__(self, kind: str, name: str, failures: list[BaseException]) -> None:
        self._kind = kind
        super().__init__(
            GROUP_PREFIX + kind,
            names=[name],
            on_load_failure_callback=lambda _manager, _point, error: failures.append(error),
            on_missing_entrypoints_callback=lambda _names: None,  # said by the caller
        )

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return _entry_points(self._kind)


def _entry_points(kind: str) -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=GROUP_PREFIX + kind))


def _declared(kind: str, point: importlib.metadata.EntryPoint) -> Declared:
    distribution = point.dist
    return Declared(
        kind=kind,
        name=point.name,
        target=point.value,
        distribution=distribution.name if distribution else "unknown",
        version=distribution.version if distribution else "unknown",
    )
