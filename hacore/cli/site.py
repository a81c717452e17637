"""What a command works on: the cluster's records through the store, and its members through REST."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import click

from hacore.cli.place import Place, place_of
from hacore.config.client import ClientSettings, load_client
from hacore.errors import ConfigError
from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import Dcs
from hacore.model.clock import BootClock
from hacore.model.cluster import ClusterView, Member
from hacore.plugins.dcs import open_dcs
from hacore.plugins.registry import Registry, Wanted
from hacore.plugins.schemas import InstalledSchemas
from hacore.records.cluster import read_cluster

STORE_S: Final = 5.0
_STORES: Final = {"etcd": "etcd3", "http": "etcd3", "https": "etcd3"}  # the v3 API; that of v2 has no server any more


class CommandError(click.ClickException):
    """The command was refused or failed: exit code 1, the text on standard error."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster, as a person at a terminal reaches it."""

    scope: str
    settings: ClientSettings
    dcs: Dcs
    insecure: bool

    def view(self) -> ClusterView:
        """Read the records afresh."""
        return read_cluster(self.dcs.snapshot(timeout_s=STORE_S))


def client_settings(place: Place) -> ClientSettings:
    """Read the configuration; ``--dcs-url`` stands in for its store and namespace.

    :raises ConfigError: it is wrong.
    """
    if place.dcs_url is None:
        return load_client(place.path(), place.settings, plugins=InstalledSchemas())
    parts = urlsplit(place.dcs_url if "://" in place.dcs_url else f"etcd3://{place.dcs_url}")
    section = {"host": parts.netloc} if parts.netloc else {}
    document = {_STORES.get(parts.scheme, parts.scheme): section, "namespace": parts.path or "/service"}
    return load_client(None, {"HACORE_CONFIGURATION": json.dumps(document)}, plugins=InstalledSchemas())


@contextmanager
def open_site(ctx: click.Context, cluster: str | None) -> Iterator[Site]:
    """Open the store for one command.

    :raises ConfigError: the configuration is wrong, or names no cluster.
    """
    place = place_of(ctx)
    settings = client_settings(place)
    scope = cluster or settings.scope
    if scope is None:
        raise ConfigError("scope: missing, want the name of the cluster in the configuration or as an argument")
    registry = Registry()
    registry.update([Wanted(kind="dcs", name=settings.dcs.name, settings=settings.dcs.settings)])
    context = PluginContext(scope=scope, namespace=settings.namespace, member="", clock=BootClock())
    dcs = open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=context, observer=True))
    try:
        yield Site(scope=scope, settings=settings, dcs=dcs, insecure=place.insecure)
    finally:
        dcs.close()
        registry.close()


def leader_of(view: ClusterView) -> Member | None:
    """Return the record of the leader."""
    return view.leader


def config_of(view: ClusterView) -> dict[str, Any]:
    """Return the dynamic configuration.

    :raises CommandError: there is none.
    """
    if view.config is None:
        raise CommandError("The cluster has no configuration in the store")
    found: dict[str, Any] = json.loads(view.config)
    return found


ROLES: Final[dict[str, Callable[[ClusterView, Member], bool]]] = {
    "leader": lambda view, member: view.lock is not None and view.lock.holder == member.name,
    "primary": lambda view, member: view.lock is not None and view.lock.holder == member.name and member.role != "standby_leader",
    "standby-leader": lambda view, member: view.lock is not None and view.lock.holder == member.name and member.role == "standby_leader",
    "replica": lambda view, member: view.lock is None or view.lock.holder != member.name,
    "standby": lambda view, member: view.lock is None or view.lock.holder != member.name,
    "any": lambda _view, _member: True,
}
