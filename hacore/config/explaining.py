"""Every value in force with its origin, for people: ``hacore explain-config``. Secrets are hidden."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore import convert
from hacore.config.backups import BACKUP_KEYS, RETENTION_KEYS
from hacore.config.controlled import CONTROLLED, DERIVED, NAMES, OLD_WAL_KEEP
from hacore.config.effective import effective
from hacore.config.fault import Path, dotted
from hacore.config.features import switched_on
from hacore.config.keys import DYNAMIC_KEYS, OWN_KEYS, Dynamic, Key, Reading
from hacore.config.loaded import LoadedConfig
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.postgresql_keys import DYNAMIC_ONLY, LOCAL_ONLY, SHARED_KEYS
from hacore.config.redaction import redact
from hacore.config.settings import LocalSettings
from hacore.convert import Converter, WrongValueError
from hacore.model.policy import Policy

DEFAULT: Final = "default"
DYNAMIC: Final = "dynamic"
ADJUSTED: Final = ", adjusted"
IGNORED: Final = ", ignored"
_PARAMETERS: Final = ("postgresql", "parameters")
_NAMED: Final[Mapping[Path, Key[Any]]] = {
    (*section, name): key for section, keys in (((), DYNAMIC_KEYS), (("postgresql",), SHARED_KEYS)) for key in keys for name in key.names
}
_ALIASES: Final = frozenset(path[-1] for path, key in _NAMED.items() if path[-1] != key.name)
_SECTIONS: Final[Mapping[Path, tuple[Key[Any], ...]]] = {
    (): DYNAMIC_KEYS,
    ("hacore",): OWN_KEYS,
    ("hacore", "backup"): BACKUP_KEYS,
    ("hacore", "backup", "retention"): RETENTION_KEYS,
}
_TOP_DYNAMIC: Final = frozenset(name for key in DYNAMIC_KEYS for name in key.names) - {Dynamic.POSTGRESQL.name}
# Not shown where nobody sets them: what these would say is said by other keys.
_SILENT: Final = frozenset({("bootstrap", "post_init"), ("bootstrap", "users"), ("archive",), ("backup",), ("plugins",)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value in force: its key, what may be shown of it, and where it comes from."""

    path: str
    value: object
    origin: str


def explain(loaded: LoadedConfig, dynamic: Mapping[str, Any] | None, *, origin: str = DYNAMIC) -> tuple[Row, ...]:
    """Return every value in force, sorted by key. What was clamped shows the value that is used, a key of several names its first one.

    :param dynamic: the dynamic configuration, ``None`` where it is not known; then its keys show their defaults.
    :param origin: where that comes from.
    """
    table = _Table(loaded, origin)
    for path, default in {**_dynamic_defaults(), **loaded.defaults, **_derived(loaded.local)}.items():
        if path[:2] != ("bootstrap", "dcs") and path not in _SILENT and path[-1] not in _ALIASES:
            table.put(path, default, DEFAULT)
    for path, _, value in _dynamic_in_force(dynamic or {}):
        table.put(path, value, origin)
    for path, written, value in _local_in_force(loaded.values):
        place = loaded.place(written)
        table.put(path, value, DEFAULT if place is None else str(place))
    found = effective(loaded.local, dynamic)
    table.adjust(dynamic or {})
    table.adjust_times(found.policy)
    table.adjust_parameters(found.postgres)
    table.mark_ignored(dynamic or {})
    return table.rows()


class _Table:
    """Rows by path; what is put later wins."""

    def __init__(self, loaded: LoadedConfig, dynamic_origin: str) -> None:
        self._loaded = loaded
        self._dynamic_origin = dynamic_origin
        self._found: dict[Path, tuple[object, str]] = {}

    def put(self, path: Path, value: object, origin: str) -> None:
        """Set a value, in place of an empty mapping around it."""
        for shorter in range(1, len(path)):
            self._found.pop(path[:shorter], None)
        if path[0] == "postgresql" and path[:2] != _PARAMETERS:
            # Local keys of this section replace dynamic ones wholesale, with everything inside.
            section = path[:2]
            stale = [one for one, (_, where) in self._found.items() if one[:2] == section and where == self._dynamic_origin != origin]
            for one in stale:
                del self._found[one]
        self._found[path] = (value, origin)

    def adjust(self, dynamic: Mapping[str, Any]) -> None:
        """Show of the keys that the dynamic configuration alone carries what is used where that is not what was written."""
        for path, keys in _SECTIONS.items():
            section: Any = dynamic
            for name in path:
                section = section.get(name) if isinstance(section, Mapping) else None
            reading = Reading(section if isinstance(section, Mapping) else {})
            for key in keys:
                if (*path, key.name) in self._found and not isinstance(key.default, Mapping | tuple):
                    self._correct((*path, key.name), reading.take(key), key.convert)

    def adjust_times(self, policy: Policy) -> None:
        """Show the times and limits that fit together."""
        for section, times in (((), policy.times), (("hacore",), policy.own_times)):
            for name in ("ttl", "loop_wait", "retry_timeout"):
                self._correct((*section, name), getattr(times, f"{name}_s", None), convert.seconds)
        shortest = policy.times.ttl_s if policy.own_times is None else policy.own_times.ttl_s
        self._correct(("guard", "margin"), policy.margin(shortest), convert.seconds)
        self._correct(("guard", "budget"), policy.budget(shortest), convert.seconds)

    def adjust_parameters(self, postgres: PostgresSettings) -> None:
        """Show the settings that the server gets."""
        for name, used in postgres.controlled_parameters.items():
            self._correct((*_PARAMETERS, name), used, _reader(name))
        used_names = {*postgres.parameters, *postgres.controlled_parameters, *postgres.recovery_conf}
        for path in [one for one in self._found if one[:2] == _PARAMETERS and len(one) > len(_PARAMETERS) and one[2] not in used_names]:
            del self._found[path]

    def mark_ignored(self, dynamic: Mapping[str, Any]) -> None:
        """Say of what is asked for and does not work yet that it is not in force."""
        names = {key.name for key in switched_on(Reading(dynamic))}
        self._found |= {path: (value, where + IGNORED) for path, (value, where) in self._found.items() if path[0] in names}

    def rows(self) -> tuple[Row, ...]:
        """Return the table, fit to be shown."""
        secrets = self._loaded.secrets
        rows = [Row(path=dotted(path), value=redact(value, path, secrets), origin=where) for path, (value, where) in self._found.items()]
        return tuple(sorted(rows, key=lambda row: row.path))

    def _correct(self, path: Path, used: object, read: Converter[object]) -> None:
        value, origin = self._found.get(path, (None, DEFAULT))
        if value is None:
            self._found[path] = (used, origin)
        elif not _means(value, used, read):
            self._found[path] = (used, origin.removesuffix(ADJUSTED) + ADJUSTED)


def _reader(parameter: str) -> Converter[object]:
    check = CONTROLLED[parameter].check if parameter in CONTROLLED else str
    return lambda value: check(convert.setting(value))


def _means(value: object, used: object, read: Converter[object]) -> bool:
    try:
        return read(value) == used
    except WrongValueError:
        return False


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - plain values
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif value is not None:
        yield path, value


def _dynamic_in_force(dynamic: Mapping[str, Any]) -> Iterator[tuple[Path, Path, object]]:
    for path, written, value in _under_first_names(dynamic):
        is_local = path[0] == "postgresql" and len(path) > 1 and path[1] in LOCAL_ONLY
        if not is_local and not (path[:2] == _PARAMETERS and path[-1] in DERIVED):
            yield path, written, value


def _local_in_force(values: Mapping[str, Any]) -> Iterator[tuple[Path, Path, object]]:
    for path, written, value in _under_first_names(values):
        if path[0] in _TOP_DYNAMIC or (path[0] == "postgresql" and len(path) > 1 and path[1] in DYNAMIC_ONLY):
            continue
        if not (path[:2] == _PARAMETERS and path[-1] in NAMES):
            yield path, written, value


def _under_first_names(values: Mapping[str, Any]) -> Iterator[tuple[Path, Path, object]]:
    """Yield the path by which a value is known, the one by which it is written, and the value. Of several names the one that counts."""
    section = values.get("postgresql")
    inner = section if isinstance(section, Mapping) else {}
    counting = {(name,) for name in _counting(values, DYNAMIC_KEYS)} | {("postgresql", name) for name in _counting(inner, SHARED_KEYS)}
    for written, value in _leaves(values, ()):
        length = 2 if written[:1] == ("postgresql",) else 1
        key = _NAMED.get(written[:length])
        if not written or (key is not None and written[:length] not in counting):
            continue
        path = written if key is None else (*written[: length - 1], key.name, *written[length:])
        yield _parameter(path), written, value


def _counting(section: Mapping[str, Any], keys: Iterable[Key[Any]]) -> Iterator[str]:
    for key in keys:
        yield from [name for name in key.names if section.get(name) is not None][:1]


def _parameter(path: Path) -> Path:
    """Return the path by which a server setting is known."""
    if path[:2] != _PARAMETERS or len(path) <= len(_PARAMETERS):
        return path
    name = str(path[2]).lower()
    return (*_PARAMETERS, "wal_keep_size" if name == OLD_WAL_KEEP else name)


def _dynamic_defaults() -> dict[Path, object]:
    sections = {Dynamic.POSTGRESQL.name, Dynamic.HACORE.name}
    defaults: dict[Path, object] = {(key.name,): key.default for key in DYNAMIC_KEYS if key.name not in sections}
    defaults |= {("hacore", key.name): key.default for key in OWN_KEYS}
    defaults |= {("postgresql", key.name): key.default for key in SHARED_KEYS}
    return defaults | {(*_PARAMETERS, name): one.default for name, one in CONTROLLED.items()}


def _derived(local: LocalSettings) -> dict[Path, object]:
    """Return defaults that follow from other values."""
    section, restapi = local.postgresql, local.restapi
    listened = {"listen_addresses": ",".join(section.listen_addresses), "port": section.port, "cluster_name": local.scope}
    return {
        ("guard", "state_dir"): local.guard.state_dir,
        ("postgresql", "config_dir"): section.config_dir,
        ("postgresql", "connect_address"): str(section.connect_address),
        ("postgresql", "pgpass"): section.pgpass,
        ("restapi", "connect_address"): str(restapi.connect_address),
        ("ctl", "cacert"): local.ctl.cacert,
        **{(*_PARAMETERS, name): listened[name] for name in DERIVED},
    }
