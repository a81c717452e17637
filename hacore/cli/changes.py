"""Changes of the dynamic configuration as options, files and an editor give them. Pure but for reading the files."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import yaml

from hacore.cli.site import CommandError
from hacore.config.dynamic import dump, patch

STDIN: Final = "-"
_PARAMETERS: Final = ("postgresql", "parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for on the command line."""

    settings: Sequence[str] = ()  # KEY.PATH=YAML
    parameters: Sequence[str] = ()  # NAME=VALUE of PostgreSQL
    apply_file: str | None = None
    replace_file: str | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked for: then a person edits."""
        return not (self.settings or self.parameters or self.apply_file or self.replace_file)

    @property
    def reads_stdin(self) -> bool:
        """Tell whether standard input holds the changes, so that nothing can be asked there."""
        return STDIN in (self.apply_file, self.replace_file)


def changed(config: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return the configuration with all changes, in the order replace, apply, set, pg.

    :raises click.UsageError: an option cannot be read.
    :raises CommandError: a file cannot.
    """
    result = dict(config)
    if wanted.replace_file is not None:
        result = read_mapping(wanted.replace_file)
    if wanted.apply_file is not None:
        result, _ = patch(result, read_mapping(wanted.apply_file))
    assignments = [(key_path(key), value) for key, value in map(assignment, wanted.settings)]
    assignments += [((*_PARAMETERS, key), value) for key, value in map(assignment, wanted.parameters)]
    for path, value in assignments:
        result, _ = patch(result, _nested(path, value))
        result = _without_emptied(result, path) if value is None else result
    return result


def text_of(config: Mapping[str, Any]) -> str:
    """Return the text for the store.

    :raises CommandError: YAML has values that JSON has not: dates, bytes, infinity.
    """
    try:
        return dump(config)
    except (TypeError, ValueError) as error:
        raise CommandError(f"{error}: want text, numbers, on or off, lists and mappings") from error


def assignment(text: str) -> tuple[str, object]:
    """Split ``KEY=VALUE``; the value is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError(f"{text!r}: want KEY=VALUE")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise click.UsageError(f"{text!r}: the value is not YAML: {error}") from error


def key_path(key: str) -> tuple[str, ...]:
    """Split a key at its dots; those of a parameter of PostgreSQL belong to its name."""
    head = ".".join(_PARAMETERS) + "."
    path = (*_PARAMETERS, key.removeprefix(head)) if key.startswith(head) else tuple(key.split("."))
    if not all(path):
        raise click.UsageError(f"{key!r}: want a key like postgresql.use_slots")
    return path


def read_mapping(name: str) -> dict[str, Any]:
    """Read a YAML file, or standard input."""
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name}: {error}") from error
    return mapping_of(text, "standard input" if name == STDIN else name)


def mapping_of(text: str, name: str) -> dict[str, Any]:
    """Read YAML that must be a mapping."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"{name}: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{name}: want a mapping")
    return found


def as_yaml(config: Mapping[str, Any]) -> str:
    """Write a configuration as people read and edit it."""
    text: str = yaml.safe_dump(dict(config), default_flow_style=False, sort_keys=False, allow_unicode=True)
    return text


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the lines of a unified diff, without the names of files."""
    old, new = as_yaml(before).splitlines(), as_yaml(after).splitlines()
    return list(difflib.unified_diff(old, new, fromfile="before", tofile="after", lineterm=""))


def _nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    return {path[0]: value if len(path) == 1 else _nested(path[1:], value)}


def _without_emptied(config: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Take away the mappings around a deleted key that have become empty by that."""
    if len(path) == 1 or not isinstance(config.get(path[0]), dict):
        return config
    inner = _without_emptied(config[path[0]], path[1:])
    return {key: inner if key == path[0] else value for key, value in config.items() if key != path[0] or inner}
