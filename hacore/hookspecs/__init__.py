"""What a plugin may implement: one typed protocol class and module for each kind, and the frozen requests that its hooks receive.

A plugin is a class, found by an entry point in the group of its kind (``hacore.dcs``, ``hacore.replica``, ``hacore.archive``,
``hacore.backup``, ``hacore.router``, ``hacore.listener``, ``hacore.command``) and built as ``Plugin(settings)``: what its own schema made
of its section, see :meth:`AnyPlugin.hacore_config_schema`. It implements the hooks that it needs, each marked with :data:`hookimpl`;
everything else is optional. One class may stand in several groups: then it is one instance, and implements hooks of all of them.

Every hook is called under a deadline and in isolation. Unless a hook says otherwise, for every hook:

- what it returns too late counts as not returned; the plugin is not called again before that call has come back;
- :class:`~hacore.errors.PluginUnavailableError` means "could not find out": logged, counted, tried again at the next occasion;
- any other exception, and an answer of another type, is a fault of the plugin: logged with its name, counted, then treated the same.

Nothing here knows a plugin, nor how they are found and called.
"""

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext, Validate
from hacore.hookspecs.archive import ArchivePlugin, ArchiveRequest
from hacore.hookspecs.backup import (
    BackupPlugin,
    BackupRequest,
    BackupSite,
    ExpireBackups,
    ListBackups,
    RestoreRequest,
    TablespacePlaces,
    VerifyBackup,
)
from hacore.hookspecs.command import CommandPlugin
from hacore.hookspecs.dcs import DcsPlugin, OpenDcs
from hacore.hookspecs.kinds import KINDS
from hacore.hookspecs.listener import AfterBootstrap, BeforeDemote, BeforePromote, BeforeStop, BeforeSwitchover, ListenerPlugin
from hacore.hookspecs.marks import PROJECT, hookimpl, hookspec
from hacore.hookspecs.replica import ReplicaPlugin, ReplicaRequest
from hacore.hookspecs.router import Drain, Probe, Revoke, Route, RouterPlugin

__all__ = [
    "KINDS",
    "PROJECT",
    "AfterBootstrap",
    "AnyPlugin",
    "ArchivePlugin",
    "ArchiveRequest",
    "BackupPlugin",
    "BackupRequest",
    "BackupSite",
    "BeforeDemote",
    "BeforePromote",
    "BeforeStop",
    "BeforeSwitchover",
    "CommandPlugin",
    "DcsPlugin",
    "Drain",
    "ExpireBackups",
    "ListBackups",
    "ListenerPlugin",
    "OpenDcs",
    "PluginContext",
    "Probe",
    "ReplicaPlugin",
    "ReplicaRequest",
    "RestoreRequest",
    "Revoke",
    "Route",
    "RouterPlugin",
    "TablespacePlaces",
    "Validate",
    "VerifyBackup",
    "hookimpl",
    "hookspec",
]
