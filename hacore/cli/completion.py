"""completion: what a shell must source to complete commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: eval "$(hacore completion bash)"."""
    maker = get_completion_class(shell)
    if maker is None:
        raise click.UsageError(f"{shell}: not known to the library")
    root = ctx.find_root().command
    click.echo(maker(root, {}, "hacore", "_HACORE_COMPLETE").source())
