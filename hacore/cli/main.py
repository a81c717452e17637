"""The command ``hacore``: its options, its commands, each loaded only when it is called, and what exit codes mean.

0: done. 1: refused or failed. 2: wrong usage, or a wrong configuration. It knows no command's inside; ``hacore run`` and
``hacore --version`` load nothing else.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from hacore import __version__
from hacore.cli.place import Place
from hacore.errors import ConfigError, HacoreError, PluginError

FAILED: Final = 1
WRONG: Final = 2
GROUP: Final = "hacore.command"

# Name: where it stands, and the line that ``hacore --help`` shows without loading it.
COMMANDS: Final = {
    "run": ("hacore.cli.running:run", "Run the node that a configuration describes."),
    "demo": ("hacore.cli.demo:demo", "Watch three PostgreSQL servers on this machine lose their primary."),
    "list": ("hacore.cli.listing:list_members", "Show the members of a cluster."),
    "topology": ("hacore.cli.listing:topology", "Show who streams from whom."),
    "explain": ("hacore.cli.explaining:explain", "Say which rule decided, why, and what a failover would need."),
    "history": ("hacore.cli.journal:history", "Show the timelines, and how long each change of the primary took."),
    "routes": ("hacore.cli.routes:routes", "Show where routers lead traffic, and what is wrong with them."),
    "switchover": ("hacore.cli.leading:switchover", "Move the primary in order."),
    "failover": ("hacore.cli.leading:failover", "Make a member the primary, also without a healthy leader."),
    "restart": ("hacore.cli.members:restart", "Restart PostgreSQL, now or at a time."),
    "reload": ("hacore.cli.members:reload", "Let members read their configuration again."),
    "reinit": ("hacore.cli.members:reinit", "Throw a standby's data away and create it again."),
    "flush": ("hacore.cli.members:flush", "Take back a restart or switchover that waits for its time."),
    "pause": ("hacore.cli.maintenance:pause", "Stop all automatic actions."),
    "resume": ("hacore.cli.maintenance:resume", "Let automatic actions go on."),
    "backup": ("hacore.cli.backups:backup", "Make, list, verify and expire backups."),
    "restore": ("hacore.cli.restoring:restore", "Take a cluster back to a point in time."),
    "show-config": ("hacore.cli.dynamic:show_config", "Show the dynamic configuration."),
    "edit-config": ("hacore.cli.dynamic:edit_config", "Change the dynamic configuration."),
    "dsn": ("hacore.cli.listing:dsn", "Print how to connect to a member."),
    "version": ("hacore.cli.listing:version", "Show versions: our own, and those of members."),
    "validate": ("hacore.cli.local:validate", "Say everything that is wrong with a configuration."),
    "explain-config": ("hacore.cli.local:explain_config", "Show each value in force and where it comes from."),
    "plugins": ("hacore.cli.plugins:plugins", "Show the installed plugins, or make a new one."),
    "completion": ("hacore.cli.completion:completion", "Print the script that completes commands in a shell."),
}

ALIASES: Final = {"plugin": "plugins"}


class Failed(click.ClickException):
    """Refused or failed."""

    exit_code = FAILED


class Wrong(click.ClickException):
    """Wrong usage or configuration."""

    exit_code = WRONG


class Commands(click.Group):
    """Loads a command when it is called; those of plugins stand beside the built-in ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which help shows them."""
        return [*COMMANDS, *sorted(self._from_plugins(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        place = COMMANDS.get(ALIASES.get(cmd_name, cmd_name))
        if place is None:
            return self._from_plugins(ctx).get(cmd_name)
        module, _, name = place[0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        found = self._from_plugins(ctx)
        if found:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.get_short_help_str()) for name, command in sorted(found.items())])

    def invoke(self, ctx: click.Context) -> object:
        """Call the command, and turn what it raises on purpose into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except (ConfigError, PluginError) as error:
            raise Wrong(str(error)) from error
        except HacoreError as error:
            raise Failed(str(error)) from error

    def _from_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        """Return the commands of plugins; without any such plugin nothing of their machinery is loaded."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - only where no built-in command is meant

        if not entry_points(group=GROUP):
            return {}
        from hacore.plugins.commands import plugin_commands  # noqa: PLC0415 - the same
        from hacore.plugins.registry import Registry  # noqa: PLC0415 - the same

        root = ctx.find_root()
        found: dict[str, click.Command] | None = root.meta.get(GROUP)
        if found is None:
            registry: Registry = Registry()
            found, refused = plugin_commands(registry, COMMANDS)
            root.meta[GROUP] = found
            root.call_on_close(registry.close)
            for name, reason in refused.items():
                click.echo(f"Warning: {name}: {reason}", err=True)
        return found


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hacore")
@click.option(
    "-c",
    "--config-file",
    "config_file",
    metavar="PATH",
    help="Configuration of a node, or of a client (scope, store, ctl).  [HACORE_CONFIG_FILE, PATRONICTL_CONFIG_FILE]",
)
@click.option(
    "-d", "--dcs-url", "--dcs", "dcs_url", metavar="URL", envvar="DCS_URL", help="Store: SCHEME://HOST:PORT/NAMESPACE.  [DCS_URL]"
)
@click.option("-k", "--insecure", is_flag=True, help="Speak to members without verifying their certificates.")
@click.pass_context
def hacore(ctx: click.Context, config_file: str | None, dcs_url: str | None, insecure: bool) -> None:  # noqa: FBT001 - click's way
    """Keep one PostgreSQL primary alive per cluster: run a node, look at a cluster, change it.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration.
    """
    environ = dict(os.environ)
    ctx.obj = Place(config_file=config_file, dcs_url=dcs_url, insecure=insecure, environ=environ, home=Path.home())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Be the command."""
    words: list[Any] | None = None if arguments is None else list(arguments)
    hacore.main(args=words, prog_name="hacore")
    sys.exit(0)
