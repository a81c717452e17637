"""Which plugins a node's settings ask for."""

from collections.abc import Iterator

from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import LocalSettings
from hacore.plugins.registry import Wanted
from hacore.plugins.replica import SCRIPT, methods_of

CALLBACKS = "callbacks"


def store_of(local: LocalSettings) -> Wanted:
    """Return the one store."""
    return Wanted(kind="dcs", name=local.dcs.name, settings=local.dcs.settings)


def agent_plugins(local: LocalSettings, postgres: PostgresSettings) -> tuple[Wanted, ...]:
    """Return every plugin that the agent of this node needs."""
    return (store_of(local), *_listeners(local, postgres), *_replica(local, postgres), *_archive(local), *_routers(local), *_backup(local))


def backup_of(local: LocalSettings) -> str | None:
    """Return the name of the plugin that makes backups."""
    return None if local.plugins.backup is None else str(local.plugins.backup["plugin"])


def _backup(local: LocalSettings) -> Iterator[Wanted]:
    name = backup_of(local)
    if name is not None:
        yield Wanted(kind="backup", name=name, settings=local.plugins.settings.get(name))


def _listeners(local: LocalSettings, postgres: PostgresSettings) -> Iterator[Wanted]:
    scripts = callback_commands(postgres)
    if scripts:
        yield Wanted(kind="listener", name=CALLBACKS, settings=scripts)
    for name in local.plugins.listeners:
        if name != CALLBACKS:  # the field's section alone says what it calls
            yield Wanted(kind="listener", name=name, settings=local.plugins.settings.get(name))


def _replica(local: LocalSettings, postgres: PostgresSettings) -> Iterator[Wanted]:
    for method in methods_of(postgres):
        yield Wanted(kind="replica", name=method.plugin, settings=local.plugins.settings.get(method.plugin))
    yield Wanted(kind="replica", name=SCRIPT)  # the dynamic configuration may name a script at any time


def _routers(local: LocalSettings) -> Iterator[Wanted]:
    for name in local.plugins.routers:
        yield Wanted(kind="router", name=name, settings=local.plugins.settings.get(name))


def _archive(local: LocalSettings) -> Iterator[Wanted]:
    name = local.plugins.archive
    if name is not None:
        yield Wanted(kind="archive", name=name, settings=local.plugins.settings.get(name))


def callback_commands(postgres: PostgresSettings) -> dict[str, str]:
    """Return the command lines of the field's callbacks and gates, by their names."""
    callbacks = postgres.callbacks
    named = {
        "on_start": callbacks.on_start,
        "on_stop": callbacks.on_stop,
        "on_restart": callbacks.on_restart,
        "on_reload": callbacks.on_reload,
        "on_role_change": callbacks.on_role_change,
        "pre_promote": postgres.pre_promote,
        "before_stop": postgres.before_stop,
    }
    return {name: command for name, command in named.items() if command}
