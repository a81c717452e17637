"""A small right configuration, and ways to change it."""

import copy
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from marshmallow import fields, post_load

from hacore import convert
from hacore.config import ConfigFaultsError, LoadedConfig, LocalSettings, load
from hacore.config.fault import Fault
from hacore.errors import PluginError
from hacore.interfaces import SectionChecker
from hacore.schema import Converted, Secret, SectionSchema
from hacore.schema import Path as SectionPath

SAMPLE: Mapping[str, Any] = {
    "scope": "main",
    "name": "node1",
    "restapi": {"listen": "127.0.0.1:8008"},
    "sqlite": {"path": "/var/lib/hacore/store.db"},
    "postgresql": {
        "listen": "127.0.0.1:5432",
        "data_dir": "/var/lib/postgresql/data",
        "authentication": {
            "superuser": {"username": "postgres", "password": "hush-super"},
            "replication": {"username": "replicator", "password": "hush-repl"},
        },
    },
}


class StoreSchema(SectionSchema):
    path = Converted(convert.word, required=True)
    token = Secret(load_default=None)

    def remarks(self, section: Mapping[str, Any], settings: Any) -> Iterator[tuple[SectionPath, str]]:
        if not section["path"].startswith("/"):
            yield ("path",), f"{dict(settings)['path']} is not the same everywhere"

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> tuple[tuple[str, object], ...]:
        return tuple(sorted(data.items()))


class EtcdSchema(SectionSchema):
    hosts = Converted(convert.words_or_text, required=True)
    username = fields.String(load_default=None)
    password = Secret(load_default=None)


class HookSchema(SectionSchema):
    url = fields.String(required=True)
    retries = fields.Integer(load_default=3)


class Plugins:
    """Two stores and a listener, as if they were installed."""

    schemas: Mapping[str, type[SectionChecker] | None] = {"sqlite": StoreSchema, "etcd3": EtcdSchema, "webhook": HookSchema, "plain": None}

    def stores(self) -> Collection[str]:
        return ("sqlite", "etcd3")

    def schema(self, name: str) -> type[SectionChecker] | None:
        if name not in self.schemas:
            raise PluginError(f"no plugin {name} is installed")
        return self.schemas[name]


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The sample with values at dotted paths set; ``...`` removes."""
    values: dict[str, Any] = copy.deepcopy(dict(SAMPLE))
    for path, value in changes.items():
        *front, last = path.split(".")
        section = values
        for part in front:
            section = section.setdefault(part, {})
        if value is ...:
            del section[last]
        else:
            section[last] = value
    return values


def load_values(
    values: Mapping[str, Any], tmp_path: Path, environ: Mapping[str, str] | None = None, *, strict: bool = False
) -> LoadedConfig:  # fmt: skip
    return load_text(yaml.safe_dump(dict(values), sort_keys=False), tmp_path, environ, strict=strict)


def load_text(text: str, tmp_path: Path, environ: Mapping[str, str] | None = None, *, strict: bool = False) -> LoadedConfig:
    path = tmp_path / "node.yml"
    path.write_text(text)
    return load(str(path), environ or {}, plugins=Plugins(), strict=strict)


def local(tmp_path: Path, **changes: Any) -> LocalSettings:
    return load_values(changed({key.replace("__", "."): value for key, value in changes.items()}), tmp_path).local


def faults_of(values: Mapping[str, Any], tmp_path: Path, *, strict: bool = False) -> tuple[Fault, ...]:
    try:
        load_values(values, tmp_path, strict=strict)
    except ConfigFaultsError as error:
        return error.faults
    return ()
