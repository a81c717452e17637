"""Every value in force with its origin, for people: ``hacore explain-config``. Secrets are hidden."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore.config.controlled import CONTROLLED, DERIVED, NAMES
from hacore.config.effective import effective
from hacore.config.fault import Path, dotted
from hacore.config.keys import DYNAMIC_KEYS, OWN_KEYS, Dynamic
from hacore.config.loaded import LoadedConfig
from hacore.config.postgresql_keys import DYNAMIC_ONLY, LOCAL_ONLY, SHARED_KEYS
from hacore.config.redaction import redact
from hacore.config.settings import LocalSettings
from hacore.model.policy import Policy

DEFAULT: Final = "default"
DYNAMIC: Final = "dynamic"
ADJUSTED: Final = ", adjusted"
_PARAMETERS: Final = ("postgresql", "parameters")
_ALIASES: Final = frozenset(name for key in (*DYNAMIC_KEYS, *SHARED_KEYS) for name in key.names if name != key.name)
_TOP_DYNAMIC: Final = frozenset(name for key in DYNAMIC_KEYS for name in key.names) - {Dynamic.POSTGRESQL.name}
# Not shown where nobody sets them: what these would say is said by other keys.
_SILENT: Final = frozenset({("bootstrap", "post_init"), ("bootstrap", "users"), ("archive",), ("backup",), ("plugins",)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value in force: its key, what may be shown of it, and where it comes from."""

    path: str
    value: object
    origin: str


def explain(loaded: LoadedConfig, dynamic: Mapping[str, Any] | None) -> tuple[Row, ...]:
    """Return every value in force, sorted by key. What was clamped shows the value that is used.

    :param dynamic: the dynamic configuration, ``None`` where it is not known; then its keys show their defaults.
    """
    table = _Table(loaded)
    for path, default in {**_dynamic_defaults(), **loaded.defaults, **_derived(loaded.local)}.items():
        if path[:2] != ("bootstrap", "dcs") and path not in _SILENT and path[-1] not in _ALIASES:
            table.put(path, default, DEFAULT)
    for path, value in _dynamic_in_force(dynamic or {}):
        table.put(path, value, DYNAMIC)
    for path, value in _local_in_force(loaded.values):
        place = loaded.place(path)
        table.put(path, value, DEFAULT if place is None else str(place))
    table.adjust(effective(loaded.local, dynamic).policy)
    return table.rows()


class _Table:
    """Rows by path; what is put later wins."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self._loaded = loaded
        self._found: dict[Path, tuple[object, str]] = {}

    def put(self, path: Path, value: object, origin: str) -> None:
        """Set a value, in place of an empty mapping around it."""
        for shorter in range(1, len(path)):
            self._found.pop(path[:shorter], None)
        if path[0] == "postgresql" and path[:2] != _PARAMETERS:
            # Local keys of this section replace dynamic ones wholesale, with everything inside.
            section = path[:2]
            stale = [one for one, (_, where) in self._found.items() if one[:2] == section and where == DYNAMIC and where != origin]
            for one in stale:
                del self._found[one]
        self._found[path] = (value, origin)

    def adjust(self, policy: Policy) -> None:
        """Show the times and limits that are used where they are not the ones that were written."""
        times = {"ttl": policy.times.ttl_s, "loop_wait": policy.times.loop_wait_s, "retry_timeout": policy.times.retry_timeout_s}
        for name, used in times.items():
            self._correct((name,), used)
        if policy.own_times is not None:
            own = policy.own_times
            for name, used in {"ttl": own.ttl_s, "loop_wait": own.loop_wait_s, "retry_timeout": own.retry_timeout_s}.items():
                self._correct(("hacore", name), used)
        shortest = policy.times.ttl_s if policy.own_times is None else policy.own_times.ttl_s
        self._correct(("guard", "margin"), policy.margin(shortest))
        self._correct(("guard", "budget"), policy.budget(shortest))

    def rows(self) -> tuple[Row, ...]:
        """Return the table, fit to be shown."""
        secrets = self._loaded.secrets
        rows = [Row(path=dotted(path), value=redact(value, path, secrets), origin=where) for path, (value, where) in self._found.items()]
        return tuple(sorted(rows, key=lambda row: row.path))

    def _correct(self, path: Path, used: float) -> None:
        value, origin = self._found.get(path, (None, DEFAULT))
        if value is None:
            self._found[path] = (used, origin)
        elif str(value) not in {f"{used:g}", str(used)}:
            self._found[path] = (used, origin + ADJUSTED)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - plain values
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif value is not None:
        yield path, value


def _dynamic_in_force(dynamic: Mapping[str, Any]) -> Iterator[tuple[Path, object]]:
    for path, value in _leaves(dynamic, ()):
        if path and not (path[0] == "postgresql" and len(path) > 1 and path[1] in LOCAL_ONLY):
            yield _with_lower_parameter(path), value


def _local_in_force(values: Mapping[str, Any]) -> Iterator[tuple[Path, object]]:
    for path, value in _leaves(values, ()):
        if not path or path[0] in _TOP_DYNAMIC or (path[0] == "postgresql" and len(path) > 1 and path[1] in DYNAMIC_ONLY):
            continue
        inner = _with_lower_parameter(path)
        if not (inner[:2] == _PARAMETERS and inner[-1] in NAMES):
            yield inner, value


def _with_lower_parameter(path: Path) -> Path:
    return (*path[:2], str(path[2]).lower(), *path[3:]) if path[:2] == _PARAMETERS and len(path) > len(_PARAMETERS) else path


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
