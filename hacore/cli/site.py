"""What a command works on: the records of one cluster, through a session with the store that takes no lock and publishes no member."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from hacore.cli.client import client_settings, scope_of
from hacore.cli.place import Place
from hacore.config.client import ClientSettings
from hacore.config.keys import Dynamic
from hacore.control.cluster import dynamic_of
from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import Dcs, Put, Refused, WriteRequest
from hacore.model.clock import BootClock
from hacore.model.cluster import ClusterView
from hacore.plugins.dcs import open_dcs
from hacore.plugins.registry import Registry, Wanted
from hacore.records.cluster import read_cluster

STORE_S: Final = 5.0


class CommandError(click.ClickException):
    """The command was refused or failed: exit code 1, the text on standard error."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster, as a person at a terminal reaches it."""

    scope: str
    settings: ClientSettings
    dcs: Dcs

    def view(self) -> ClusterView:
        """Read the records afresh."""
        return read_cluster(self.dcs.snapshot(timeout_s=STORE_S))

    def existing(self) -> ClusterView:
        """Read the records of a cluster that must be there.

        :raises CommandError: nothing of it is in the store.
        """
        view = self.view()
        if not view.members and view.initialize is None and view.config is None:
            raise CommandError(f"Cluster {self.scope} is not in the store (namespace {self.settings.namespace})")
        return view

    def replace(self, name: str, value: str, *, expected: int) -> bool:
        """Write a record if it still has this version (0: there is none). Answers whether it was written."""
        put = Put(name=name, value=value, expected=expected)
        return not isinstance(self.dcs.write(WriteRequest(puts=(put,)), timeout_s=STORE_S), Refused)

    def version_of(self, name: str) -> int:
        """Return the version of a record, 0 where there is none."""
        record = self.dcs.snapshot(timeout_s=STORE_S).records.get(name)
        return record.version if record else 0


@contextmanager
def open_site(place: Place, cluster: str | None) -> Iterator[Site]:
    """Open the store for one command.

    :raises ConfigError: the configuration is wrong, or names no cluster.
    :raises DcsUnavailableError: the store does not answer.
    """
    settings = client_settings(place)
    with open_store(settings, scope_of(settings, cluster)) as site:
        yield site


@contextmanager
def open_store(settings: ClientSettings, scope: str) -> Iterator[Site]:
    """Open the store that settings name, and leave nothing of the session behind."""
    registry = Registry()
    try:
        registry.update([Wanted(kind="dcs", name=settings.dcs.name, settings=settings.dcs.settings)])
        member = f"hacore-{socket.gethostname()}-{os.getpid()}"
        context = PluginContext(scope=scope, namespace=settings.namespace, member=member, clock=BootClock())
        dcs = open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=context, observer=True))
        try:
            yield Site(scope=scope, settings=settings, dcs=dcs)
        finally:
            dcs.close()
    finally:
        registry.close()


def config_of(view: ClusterView) -> dict[str, Any]:
    """Return the dynamic configuration.

    :raises CommandError: there is none.
    """
    if view.config is None:
        raise CommandError("The cluster has no configuration in the store")
    found: dict[str, Any] = json.loads(view.config)
    return found


def loop_wait_s(view: ClusterView) -> float:
    """Return the period of the members' loops: what is in force where that is known, else what is configured."""
    if view.own is not None and view.own.times is not None:
        return view.own.times[1]
    return dynamic_of(view).take(Dynamic.LOOP_WAIT)
