"""Every command line of ``hacore`` that a page shows is one that the command takes: its subcommands and options are there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hacore.cli.main import hacore
from tests.project.conftest import CHECKOUT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/README.md", "examples/**/*.md")
    for path in CHECKOUT.glob(pattern)
    if path.name != "CHANGELOG.md"  # tells of what was
)
INLINE = re.compile(r"`hacore ([a-z-][^`\n]*)`")  # in capitals: any command
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^ {4}.*$", re.MULTILINE)
IN_A_BLOCK = re.compile(r"(?:^\s*(?:\$ )?|, |& |do |\$\(|exec \S+ )hacore ([a-z-][^\n]*?)(?=, hacore |$)", re.MULTILINE)
END = re.compile(r"\s{2,}|\)\"|\\\||\s(?:2?>|#|&|\||<)")  # what a table, a shell or a remark says behind it


def lines_of(text: str) -> Iterator[str]:
    """Each command line of a page, without the word ``hacore``."""
    blocks = FENCED.findall(text) + INDENTED.findall(FENCED.sub("", text))
    found = INLINE.findall(text) + [line for block in blocks for line in IN_A_BLOCK.findall(block)]
    for line in found:
        yield re.sub(r"[\[\]]|\.\.\.", " ", END.split(line, maxsplit=1)[0]).strip()


def wrong_with(command: click.Command, words: list[str], parent: click.Context | None = None) -> str | None:
    """Why the command does not take these words; values are not looked at, and nothing is run."""
    context = click.Context(command, parent=parent)
    try:
        _, rest, _ = command.make_parser(context).parse_args(args=words)
    except click.UsageError as error:
        return error.format_message()
    if not isinstance(command, click.Group):
        return f"unexpected words: {rest}" if rest else None
    if not rest:
        return None
    inner = command.get_command(context, rest[0])
    return f"no command {rest[0]}" if inner is None else wrong_with(inner, rest[1:], context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_each_command_line_of_a_page_is_one_that_the_command_takes(page: Path) -> None:
    found = {line: wrong_with(hacore, shlex.split(line)) for line in lines_of(page.read_text())}
    assert {line: wrong for line, wrong in found.items() if wrong is not None} == {}


def test_command_lines_are_found_in_all_their_shapes() -> None:
    text = (
        "Say `hacore list --wait` or\n\n    hacore pause, hacore resume    hands off\n    docker exec n1 hacore -c n.yml list\n"
        "```\n$ hacore history [--events] # what was\npgbench & hacore switchover --force\n```\n    hacore (main)\n"
    )
    assert sorted(lines_of(text)) == ["-c n.yml list", "history  --events", "list --wait", "pause", "resume", "switchover --force"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("plugins list --kind archive", "--kind"),
        ("journal", "journal"),
        ("plugins sow x", "sow"),
        ("list --format", "--format"),
        ("pause a b", "b"),
    ],
)
def test_a_command_line_that_is_not_taken_is_found(line: str, wrong: str) -> None:
    assert wrong in (wrong_with(hacore, line.split()) or "")
