"""``hacore completion``: the script that makes a shell complete commands, options and their values."""

from typing import Final

import click
from click.shell_completion import get_completion_class

_VARIABLE: Final = "_HACORE_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell.

    bash: eval "$(hacore completion bash)", in ~/.bashrc. zsh: the same with zsh. fish: hacore completion fish | source.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell}: no completion for this shell")
    click.echo(found(ctx.find_root().command, {}, "hacore", _VARIABLE).source())
