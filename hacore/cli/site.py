"""What a command works on: the cluster's records through the store, and its members through REST."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

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
_VARIABLES: Final = ("HACORE_CONFIG_FILE", "PATRONICTL_CONFIG_FILE")
_DEFAULTS: Final = ("~/.config/hacore/hacore.yml", "~/.config/patroni/patronictl.yaml")
_SYSTEM: Final = Path("/etc/hacore")


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


def config_path(ctx: click.Context) -> str | None:
    """Return the configuration to read: the option, the environment, a file in its usual place; ``None``: only the environment."""
    given: str | None = ctx.find_root().obj["config_file"]
    if given is not None:
        return given
    named = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
    if named is not None:
        return named
    standing = [path for path in (Path(one).expanduser() for one in _DEFAULTS) if path.is_file()]
    system = sorted(_SYSTEM.glob("*.yml")) if _SYSTEM.is_dir() else []
    if not standing and len(system) == 1:
        standing = system
    return str(standing[0]) if standing else None


@contextmanager
def open_site(ctx: click.Context, cluster: str | None) -> Iterator[Site]:
    """Open the store for one command.

    :raises ConfigError: the configuration is wrong, or names no cluster.
    """
    settings = load_client(config_path(ctx), os.environ, plugins=InstalledSchemas())
    scope = cluster or settings.scope
    if scope is None:
        raise ConfigError("scope: missing, want the name of the cluster in the configuration or as an argument")
    registry = Registry()
    registry.update([Wanted(kind="dcs", name=settings.dcs.name, settings=settings.dcs.settings)])
    context = PluginContext(scope=scope, namespace=settings.namespace, member="", clock=BootClock())
    dcs = open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=context, observer=True))
    try:
        yield Site(scope=scope, settings=settings, dcs=dcs, insecure=ctx.find_root().obj["insecure"])
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
