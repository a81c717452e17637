"""What a command on somebody's desk needs of a configuration: the store, the cluster's name and the credentials, nothing of a node.

The file may be that of a node, or one that holds these sections alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hacore.config import stores
from hacore.config.fault import ConfigFaultsError
from hacore.config.loading import PluginSchemas, check_store, findings_of
from hacore.config.schemas.local import LocalSchema
from hacore.config.settings import CtlSettings, DcsSection, RestApiSettings
from hacore.config.sources import gather

_KEYS: Final = ("scope", "namespace", "ctl", "restapi")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the cluster's records are, and how its members are spoken to."""

    scope: str | None
    namespace: str
    ctl: CtlSettings
    dcs: DcsSection


def load_client(path: str | None, environ: Mapping[str, str], *, plugins: PluginSchemas) -> ClientSettings:
    """Read the sections that a client needs.

    :raises ConfigFaultsError: with all faults.
    """
    installed = frozenset(plugins.stores())
    found = findings_of(gather(path, environ, {*installed, *stores.OF_THE_FIELD, *stores.OWN}))
    values = found.document.values
    section: dict[str, object] = {name: values[name] for name in _KEYS if name in values}
    settings = found.check(LocalSchema(only=_KEYS, partial=("scope", "restapi")), section, (), strict=False)
    store = check_store(found, installed, plugins, strict=False)
    if found.faults or store is None or not isinstance(settings, dict):
        raise ConfigFaultsError(found.faults)
    ctl: CtlSettings = settings["ctl"]
    restapi: RestApiSettings | None = settings.get("restapi")
    if restapi is not None:
        ctl = replace(ctl, authentication=ctl.authentication or restapi.authentication, cacert=ctl.cacert or restapi.cafile)
    return ClientSettings(scope=settings.get("scope"), namespace=settings["namespace"], ctl=ctl, dcs=store)
