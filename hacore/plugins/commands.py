"""Kind ``command``: commands of installed plugins for ``hacore``. Only the command line loads this."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final, cast

import click

from hacore.errors import HacoreError
from hacore.plugins.finding import declared
from hacore.plugins.registry import Plugin, Registry, Wanted

logger = logging.getLogger(__name__)

_LIMIT_S: Final = 5.0


def plugin_commands(registry: Registry, taken: Iterable[str]) -> tuple[dict[str, click.Command], dict[str, str]]:
    """Return the commands of all installed plugins by name, and for each plugin or command that was left out why.

    :param registry: gets the plugins that were built.
    :param taken: names of the built-in commands.
    """
    commands: dict[str, click.Command] = {}
    refused: dict[str, str] = {}
    taken = set(taken)
    for plugin in _installed(registry, refused):
        for command in _commands(plugin, refused):
            name = command.name or ""
            if not name or name in taken or name in commands:
                refused[f"{plugin.name}: {name}"] = "the command has no name" if not name else "another command has this name"
            else:
                commands[name] = command
    return commands, refused


def _installed(registry: Registry, refused: dict[str, str]) -> list[Plugin]:
    """Build each on its own: one that is broken must not take the others away."""
    wanted: list[Wanted] = []
    for name in sorted({one.name for one in declared(["command"])}):
        try:
            registry.update([*wanted, Wanted(kind="command", name=name)])
            wanted.append(Wanted(kind="command", name=name))
        except HacoreError as error:
            refused[name] = str(error)
    return list(registry.of_kind("command"))


def _commands(plugin: Plugin, refused: dict[str, str]) -> list[click.Command]:
    try:
        answer = plugin.calls.call("hacore_commands", Sequence, limit_s=_LIMIT_S)
    except HacoreError as error:
        refused[plugin.name] = str(error)
        return []
    found = cast("Sequence[object] | None", answer) or ()
    wrong = [type(one).__name__ for one in found if not isinstance(one, click.Command)]
    if wrong:
        refused[plugin.name] = f"hacore_commands returned {', '.join(wrong)}, want commands of click"
    return [one for one in found if isinstance(one, click.Command)]
