"""The settings of a command that speaks to a cluster: which store, which cluster, which credentials."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from hacore.cli.place import Place
from hacore.config import stores
from hacore.config.client import ClientSettings, load_client
from hacore.config.environment import whole_configuration
from hacore.config.sources import read_path
from hacore.errors import ConfigError
from hacore.plugins.schemas import InstalledSchemas

_WHOLE: Final = "HACORE_CONFIGURATION"
_NO_CONFIGURATION: Final = (
    "no configuration: name one with -c PATH or HACORE_CONFIG_FILE, or write ~/.config/hacore/hacore.yml (scope, the store's section, ctl)"
)


def client_settings(place: Place) -> ClientSettings:
    """Read what a client needs.

    :raises ConfigError: with all faults.
    """
    path = place.path()
    environ = place.settings
    if place.dcs_url is not None:
        path, environ = None, {_WHOLE: yaml.safe_dump(_with_store(place.dcs_url, path, environ))}
    elif path is None and not any(name.startswith(("HACORE_", "PATRONI_")) for name in environ):
        raise ConfigError(_NO_CONFIGURATION)
    settings = load_client(path, environ, plugins=InstalledSchemas())
    return replace(settings, ctl=replace(settings.ctl, insecure=True)) if place.insecure else settings


def scope_of(settings: ClientSettings, named: str | None) -> str:
    """Return the cluster that is meant.

    :raises ConfigError: none was named, and the configuration has none.
    """
    scope = named or settings.scope
    if scope is None:
        raise ConfigError("no cluster was named, and the configuration has no scope")
    return scope


def section_of(url: str, known: Mapping[str, object]) -> tuple[str, dict[str, Any], str | None]:
    """Read a store's address: the name of its section, the section, and the namespace where the address has one.

    :param known: the keys that the section may have.
    :raises ConfigError: it is none.
    """
    try:
        parts = urlsplit(url if "://" in url else f"etcd3://{url}")
        host = parts.netloc.rpartition("@")[2]
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url}: {error}, want SCHEME://HOST:PORT/NAMESPACE") from error
    if "path" in known and not host:
        return parts.scheme, {"path": unquote(parts.path)}, None
    if not host:
        raise ConfigError(f"{url}: no host, want SCHEME://HOST:PORT/NAMESPACE")
    section: dict[str, Any] = {"hosts": [host]} if "hosts" in known else {"host": host}
    if port is None and "port" in known:
        section = {"host": host}
    credentials = {"username": parts.username, "password": parts.password}
    section |= {key: unquote(value) for key, value in credentials.items() if value is not None}
    return parts.scheme, section, parts.path if parts.path.strip("/") else None


def _with_store(url: str, path: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    scheme = url.partition("://")[0] if "://" in url else "etcd3"
    name, section, namespace = section_of(url, _keys_of(scheme))
    whole = whole_configuration(environ)
    values: dict[str, Any] = {}
    if path is not None:
        values = dict(read_path(path).values)
    elif whole is not None:
        values = yaml.safe_load(whole[1]) or {}
    aside = {*InstalledSchemas().stores(), *stores.OF_THE_FIELD, *stores.OWN}
    values = {key: value for key, value in values.items() if key not in aside} | {name: section}
    return values if namespace is None else values | {"namespace": namespace}


def _keys_of(scheme: str) -> Mapping[str, object]:
    schemas = InstalledSchemas()
    if scheme not in schemas.stores():
        _, wrong = stores.choose({scheme: {}}, schemas.stores())
        known = ", ".join(sorted(schemas.stores())) or "none"
        raise ConfigError(wrong.get((scheme,)) or f"no plugin for the store {scheme} is installed; installed: {known}")
    schema = schemas.schema(scheme)
    fields: Mapping[str, object] = {} if schema is None else getattr(schema(), "fields", {})
    return fields
