"""Every kind of plugin: the only list."""

from collections.abc import Mapping
from typing import Final

from hacore.hookspecs.archive import ArchivePlugin
from hacore.hookspecs.backup import BackupPlugin
from hacore.hookspecs.command import CommandPlugin
from hacore.hookspecs.dcs import DcsPlugin
from hacore.hookspecs.listener import ListenerPlugin
from hacore.hookspecs.replica import ReplicaPlugin
from hacore.hookspecs.router import RouterPlugin

KINDS: Final[Mapping[str, type]] = {
    "dcs": DcsPlugin,
    "replica": ReplicaPlugin,
    "archive": ArchivePlugin,
    "backup": BackupPlugin,
    "router": RouterPlugin,
    "listener": ListenerPlugin,
    "command": CommandPlugin,
}
