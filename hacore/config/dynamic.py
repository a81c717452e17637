"""The dynamic configuration as a document of its own: what stands in the store's ``config`` record, and its cache on disk.

Its text is untrusted. A broken one is refused as a whole, and what was last known to be good stays in force. What the keys mean is the
business of ``effective``; keys that nobody here knows are kept.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from hacore.config import backups, timing
from hacore.config.fault import Fault, Path, dotted, nearest
from hacore.config.keys import DYNAMIC_KEYS, OWN_KEYS, Dynamic, Reading
from hacore.config.postgresql_keys import LOCAL_ONLY, SHARED_KEYS, method_names, replica_method
from hacore.config.redaction import shown
from hacore.config.settings import LocalSettings
from hacore.convert import WrongValueError
from hacore.errors import ConfigError

CACHE_NAME: Final = "patroni.dynamic.json"
BOOTSTRAP: Final = "bootstrap.dcs"
MAX_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The configuration that is in force after a text was read, and what was wrong with the text."""

    config: Mapping[str, Any] | None  # None: there was none yet, and this one is no good
    faults: tuple[Fault, ...] = ()

    @property
    def is_new(self) -> bool:
        """Tell whether the text itself is in force."""
        return not self.faults


def parse(text: str) -> dict[str, Any]:
    """Read a text; ``{}`` is a configuration of defaults.

    :raises ConfigError: it is no JSON object, or not one that a person would write.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"config: more than {MAX_BYTES} bytes, want at most 1 MiB")
    try:
        found = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)
        json.dumps(found, ensure_ascii=False).encode()  # half a character, spelt as an escape, could not be written again
    except RecursionError as error:
        raise ConfigError(f"config: want at most {_MAX_DEPTH} levels of nesting") from error
    except ValueError as error:
        raise ConfigError(f"config: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError("config: want a JSON object")
    if _depth(found) > _MAX_DEPTH:
        raise ConfigError(f"config: want at most {_MAX_DEPTH} levels of nesting")
    return found


def dump(config: Mapping[str, Any]) -> str:
    """Write a configuration as the store keeps it: compact, keys in their order."""
    return json.dumps(config, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def accept(text: str | None, last_good: Mapping[str, Any] | None) -> Accepted:
    """Judge the text of the record against what was in force before. No text, and a broken one, change nothing."""
    if text is None or not text.strip():
        return Accepted(config=last_good, faults=(_fault((), None, "a configuration: the record is empty or missing"),))
    try:
        config = parse(text)
    except ConfigError as error:
        return Accepted(config=last_good, faults=(_fault((), None, str(error)),))
    wrong = faults(config)
    if not wrong:
        return Accepted(config=config)
    return Accepted(config=last_good, faults=wrong)


def faults(config: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Return every value of a configuration that cannot be used. Unknown keys are none: another member may know them."""
    top = Reading(config)
    for key in DYNAMIC_KEYS:
        top.take(key)
    section = top.take(Dynamic.POSTGRESQL)
    postgresql = Reading({name: value for name, value in section.items() if name not in LOCAL_ONLY}, path=("postgresql",), wrong=top.wrong)
    for key in SHARED_KEYS:
        postgresql.take(key)
    for name in method_names(section):
        if isinstance(section.get(name), Mapping) and name not in {key.name for key in SHARED_KEYS}:
            _try_method(name, section[name], top.wrong)
    own = top.take(Dynamic.HACORE)
    timing.read_own_times(own, top, [])
    backups.read_backup(own, top)
    timing.read_draining(own, top)
    return tuple(_fault(path, _value_at(config, path), wanted) for path, wanted in top.wrong.items())


def unknown(config: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Return the keys that nobody here knows; they are kept, and may be misspelt."""
    known = {name for key in DYNAMIC_KEYS for name in key.names}
    inner, own = (_section(config, key.name) for key in (Dynamic.POSTGRESQL, Dynamic.HACORE))
    shared = {name for key in SHARED_KEYS for name in key.names} | LOCAL_ONLY
    welcome = shared | set(method_names(inner))
    found = [_unknown((name,), known) for name in config if name not in known]
    found += [_unknown(("postgresql", name), shared) for name in inner if name not in welcome]
    ours = {key.name for key in OWN_KEYS}
    found += [_unknown(("hacore", name), ours) for name in own if name not in ours]
    return tuple(found + [_unknown(path, set(names)) for path, names in backups.unknown_keys(own)])


def patch(config: Mapping[str, Any], change: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Lay a change over a configuration: mappings are merged, ``null`` deletes, everything else replaces.

    Keys keep their order. A leaf whose text stays the same counts as unchanged: ``"30"`` does not replace ``30``.

    :returns: the new configuration, and whether it differs.
    """
    result = dict(config)
    changed = False
    for key, value in change.items():
        if value is None:
            changed = result.pop(key, _ABSENT) is not _ABSENT or changed
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key], inner_changed = patch(result[key], value)
            changed = changed or inner_changed
        elif isinstance(value, Mapping):
            result[key], _ = patch({}, value)
            changed = True
        elif key not in result or str(result[key]) != str(value):
            result[key] = value
            changed = True
    return result, changed


def read_cache(data_dir: str) -> dict[str, Any] | None:
    """Return the configuration that was in force when this node last ran; ``None`` where there is no usable one."""
    try:
        with (FilePath(data_dir) / CACHE_NAME).open("rb") as stream:
            return parse(stream.read(MAX_BYTES + 1).decode())
    except (OSError, UnicodeDecodeError, ConfigError):
        return None  # there is nothing to repair: the store's record, or the bootstrap section, takes its place


def last_known(local: LocalSettings) -> tuple[Mapping[str, Any] | None, str]:
    """Return what counts before the store has said anything, and where it stands: the cache, else what a new cluster begins with."""
    data_dir = local.postgresql.data_dir
    cached = read_cache(data_dir)
    if cached:
        return cached, str(FilePath(data_dir) / CACHE_NAME)
    return (local.bootstrap.dcs if local.bootstrap else None), BOOTSTRAP


def write_cache(data_dir: str, config: Mapping[str, Any]) -> None:
    """Keep a configuration for the next start, whole or not at all. A data directory that is not there yet gets none.

    :raises OSError: the disk did not take it.
    """
    directory = FilePath(data_dir)
    if not (directory / "PG_VERSION").exists():
        return
    new = directory / f"{CACHE_NAME}.new"  # always the same name: one that a kill left behind is overwritten
    with new.open("w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), directory.stat().st_mode & 0o660)
        stream.write(dump(config))
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(directory / CACHE_NAME)


_ABSENT: Final = object()


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def _try_method(name: str, section: object, wrong: dict[Path, str]) -> None:
    try:
        replica_method(name, section)
    except WrongValueError as error:
        wrong |= {("postgresql", name, *path): wanted for path, wanted in error.parts.items()}


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _depth(value: object, level: int = 1) -> int:
    if level > _MAX_DEPTH:
        return level
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_depth(one, level + 1) for one in inner), default=level)


def _value_at(config: Mapping[str, Any], path: Path) -> object:
    found: Any = config
    for part in path:
        if isinstance(found, list) and isinstance(part, int) and part < len(found):
            found = found[part]
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _fault(path: Path, found: object, wanted: str) -> Fault:
    return Fault(
        file=None if path else "dynamic configuration",
        line=None,
        path=dotted(path),
        found=shown(found, path) if found is not None else None,
        wanted=wanted,
    )


def _unknown(path: Path, known: set[str]) -> Fault:
    return Fault(file=None, line=None, path=dotted(path), found=None, wanted="unknown key", suggestion=nearest(str(path[-1]), known))
