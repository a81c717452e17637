"""A configuration that was read and found right, with the origin of every value; and the table that shows all of it to people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hacore.config.controlled import NAMES
from hacore.config.document import Place
from hacore.config.fault import Fault, Path, dotted
from hacore.config.keys import DYNAMIC_KEYS, OWN_KEYS, Dynamic
from hacore.config.postgresql_keys import DYNAMIC_ONLY, LOCAL_ONLY, SHARED_KEYS
from hacore.config.redaction import redact
from hacore.config.settings import LocalSettings

DEFAULT: Final = "default"
DYNAMIC: Final = "dynamic"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """What a file, a directory or the environment said. Everything but ``local`` is for people."""

    local: LocalSettings
    warnings: tuple[Fault, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)  # as they were written
    places: Mapping[Path, Place] = field(default_factory=dict, repr=False)
    defaults: Mapping[Path, object] = field(default_factory=dict, repr=False)
    secrets: frozenset[Path] = field(default_factory=frozenset, repr=False)

    @property
    def origins(self) -> dict[str, str]:
        """Return where each value comes from: ``default``, ``FILE:LINE`` or ``environment NAME``."""
        return {row.path: row.origin for row in explain(self, None) if row.origin != DYNAMIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value in force: its key, what may be shown of it, and where it comes from."""

    path: str
    value: object
    origin: str


def explain(loaded: LoadedConfig, dynamic: Mapping[str, Any] | None) -> tuple[Row, ...]:
    """Return every value in force, sorted by key; secrets are hidden.

    :param dynamic: the dynamic configuration, ``None`` where it is not known; then its keys show their defaults.
    """
    rows: dict[Path, Row] = {}
    for path, default in {**loaded.defaults, **_dynamic_defaults()}.items():
        if path[:2] != ("bootstrap", "dcs"):
            _put(rows, loaded, path, default, DEFAULT)
    for path, value in _leaves(_dynamic_in_force(dynamic or {}), ()):
        _put(rows, loaded, path, value, DYNAMIC)
    for path, value in _leaves(loaded.values, ()):
        if value is not None and _counts_locally(path):
            _put(rows, loaded, path, value, _origin(loaded, path))
    return tuple(rows[path] for path in sorted(rows, key=dotted))


def _put(rows: dict[Path, Row], loaded: LoadedConfig, path: Path, value: object, origin: str) -> None:
    for shorter in range(1, len(path)):  # a mapping by default gives way to what stands in it
        if path[:shorter] in rows:
            del rows[path[:shorter]]
    rows[path] = Row(path=dotted(path), value=redact(value, path, loaded.secrets), origin=origin)


def _origin(loaded: LoadedConfig, path: Path) -> str:
    place = next((loaded.places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in loaded.places), None)
    return str(place) if place is not None else DEFAULT


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - plain values
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif path:
        yield path, value


def _dynamic_in_force(dynamic: Mapping[str, Any]) -> dict[str, Any]:
    section = dynamic.get(Dynamic.POSTGRESQL.name)
    found = {name: value for name, value in dynamic.items() if value is not None and name != Dynamic.POSTGRESQL.name}
    if isinstance(section, Mapping):
        found["postgresql"] = {name: value for name, value in section.items() if name not in LOCAL_ONLY and value is not None}
    return found


def _dynamic_defaults() -> dict[Path, object]:
    defaults: dict[Path, object] = {
        (key.name,): key.default for key in DYNAMIC_KEYS if key.name not in {Dynamic.POSTGRESQL.name, Dynamic.HACORE.name}
    }
    defaults |= {("hacore", key.name): key.default for key in OWN_KEYS}
    return defaults | {("postgresql", key.name): key.default for key in SHARED_KEYS}


def _counts_locally(path: Path) -> bool:
    """Tell whether a local value has an effect: what only the dynamic configuration may say has none."""
    if path[0] in {key.name for key in DYNAMIC_KEYS} - {"postgresql"}:
        return False
    if path[0] == "postgresql" and len(path) > 1 and path[1] in DYNAMIC_ONLY:
        return False
    return not (path[:2] == ("postgresql", "parameters") and len(path) > 2 and str(path[2]).lower() in NAMES)  # noqa: PLR2004 - a name inside
