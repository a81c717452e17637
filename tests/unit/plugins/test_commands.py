"""Commands of installed plugins; one that is broken takes no other away."""

from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from hacore.plugins.commands import plugin_commands
from hacore.plugins.registry import Registry

Install = Callable[..., Path]

COMMANDS = """
    import click
    from hacore.hookspecs import CommandPlugin, hookimpl

    @click.command("hello")
    def hello():
        click.echo("hello")

    class Good(CommandPlugin):
        def __init__(self, settings):
            pass

        @hookimpl
        def hacore_commands(self):
            return [hello, click.Command("list")]

    class Wrong(Good):
        @hookimpl
        def hacore_commands(self):
            return ["hello"]

    class Raising(Good):
        @hookimpl
        def hacore_commands(self):
            raise KeyError("x")

    class Unbuilt(Good):
        def __init__(self, settings):
            raise ValueError("no")
"""


def test_a_command_of_a_plugin_stands_beside_the_built_in_ones(install: Install) -> None:
    install("p_commands", COMMANDS, command={"good": "p_commands:Good"})
    commands, refused = plugin_commands(Registry(), ["list"])
    assert CliRunner().invoke(commands["hello"]).output == "hello\n"
    assert refused == {"good: list": "another command has this name"}


def test_a_broken_plugin_is_named_and_takes_no_other_away(install: Install) -> None:
    points = {name: f"p_commands:{name.title()}" for name in ("good", "wrong", "raising", "unbuilt")}
    install("p_commands", COMMANDS, command={**points, "missing": "p_commands:Missing"})
    commands, refused = plugin_commands(Registry(), [])
    assert sorted(commands) == ["hello", "list"]
    assert sorted(refused) == ["missing", "raising", "unbuilt", "wrong"]
    assert "p-commands 1.2" in refused["unbuilt"]
