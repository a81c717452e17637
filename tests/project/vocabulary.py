"""The names that users and plugin authors meet, collected from the code itself: rules, hooks, settings."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from marshmallow import Schema

import hacore.config
import hacore.decide
import hacore.hookspecs
from hacore.config.keys import Key
from hacore.decide.table import Table

HOOK_PREFIX = "hacore_"


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """A package and every module below it."""
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def rule_tables() -> dict[str, tuple[Callable[..., object], ...]]:
    """The tables of hacore.decide, by name."""
    found = [value for module in modules_of(hacore.decide) for value in vars(module).values() if isinstance(value, Table)]
    return {table.name: table.rules for table in found}


def rules() -> dict[str, Callable[..., object]]:
    """Every rule, by the name under which logs, metrics and `hacore explain` show it."""
    return {rule.__name__: rule for table in rule_tables().values() for rule in table}


def hooks() -> dict[str, Callable[..., object]]:
    """Every hook of every kind of plugin."""
    kinds = [kind for _, kind in inspect.getmembers(hacore.hookspecs, inspect.isclass)]
    return {name: hook for kind in kinds for name, hook in vars(kind).items() if name.startswith(HOOK_PREFIX) and inspect.isfunction(hook)}


def settings() -> set[str]:
    """Every key of the configuration that hacore itself reads, without the section that it stands in."""
    names: set[str] = set()
    for module in modules_of(hacore.config):
        for part in vars(module).values():
            if not inspect.isclass(part) or part.__module__ != module.__name__:
                continue
            names |= {key.name for key in vars(part).values() if isinstance(key, Key)}
            if issubclass(part, Schema):
                declared = part._declared_fields
                names |= {field.data_key or name for name, field in declared.items()}
    return names


def text_of(*roots: Path, suffix: str) -> str:
    """All text of the files below some directories."""
    paths = sorted(path for root in roots for path in root.rglob(f"*{suffix}") if path.is_file())
    return "\n".join(path.read_text() for path in paths)
