"""What people see: tables that fit the screen, colour only on a terminal. It knows no cluster."""

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Final, Literal

import click
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hacore.cli.sheet import Column, Sheet, for_programs, plain
from hacore.errors import ConfigError, HacoreError, PluginError

MARK: Final = "*"
UNLIMITED: Final = 10_000


def console_for(stream: IO[str], width: int | None = None) -> Console:
    """Return a console: as wide as the terminal, or without limit where there is none."""
    if width is None:
        width = shutil.get_terminal_size().columns if stream.isatty() else UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def show(sheets: Sequence[Sheet], form: str, *, everything: bool = False) -> None:
    """Write sheets to standard output, for people or for programs."""
    if form != "pretty":
        click.echo(for_programs(sheets, form, everything=everything))
        return
    console = console_for(sys.stdout)
    for sheet in sheets:
        console.print(Framed(sheet, everything=everything))


def say(title: str, text: object, *, title_width: int = 9) -> None:
    """Write a line with a title in front, broken at words where the screen ends."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    head = f"  {title + ':':{title_width}} "
    click.echo(textwrap.fill(str(text), width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False))


class Framed:
    """A sheet as a frame of lines with its title in the top one; what does not fit is left out, or said below."""

    def __init__(self, sheet: Sheet, *, everything: bool = False) -> None:
        self._sheet = sheet
        self._columns = [one for one in sheet.shown(everything=everything) if not one.for_programs]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        table, below = self._fitting(console, options)
        lines = console.render_lines(table, options, pad=False)
        yield from _with_title(lines, self._sheet.title, options.max_width)
        for line in (*below, *self._sheet.footer):
            broken = textwrap.wrap(line, options.max_width, subsequent_indent=" " * 5, break_on_hyphens=False)
            yield from (Text(part, style="yellow") for part in broken)

    def _fitting(self, console: Console, options: ConsoleOptions) -> tuple[Table, tuple[str, ...]]:
        """Return the table with as many columns as the screen can show, and lines with what was taken out of it."""
        everything, short = self._columns, [one for one in self._columns if not one.is_wide]
        for columns, is_narrow in ((everything, False), (short, True)):
            table = self._table(columns, options.max_width, is_narrow=is_narrow)
            if console.measure(table, options=options.update(max_width=UNLIMITED)).maximum <= options.max_width:
                return table, ()
        kept = [one for one in short if not one.optional]
        return self._table(kept, options.max_width, is_narrow=True), tuple(self._said([one for one in short if one.optional]))

    def _table(self, columns: Sequence[Column], width: int, *, is_narrow: bool) -> Table:
        title = len(self._sheet.title)
        table = Table(box=box.ASCII2, header_style="bold", min_width=min(title + 6, width) if title else None, pad_edge=True)
        for one in columns:
            header = (one.narrow_header if is_narrow else None) or one.header or one.title
            justify: Literal["left", "right"] = "right" if one.right else "left"
            table.add_column(Text(header), justify=justify, overflow="fold", no_wrap=not one.wraps, max_width=one.widest)
        for row in self._sheet.rows:
            table.add_row(*(Text(one.text(row.get(one.title)), style=one.style(row.get(one.title))) for one in columns))
        return table

    def _said(self, columns: Sequence[Column]) -> Iterator[str]:
        """Write what is in columns that did not fit, a line for each row."""
        first = next(one.title for one in self._columns)
        for row in self._sheet.rows:
            found = {one.title.lower(): row.get(one.title) for one in columns if row.get(one.title) not in (None, "", {})}
            said = [title if value == MARK else f"{title}: {plain(value)}" for title, value in found.items()]
            if said:
                yield f" {row.get(first)}: {'; '.join(said)}"


def _with_title(lines: list[list[Segment]], title: str, width: int) -> Iterable[Segment | Text]:
    """Lay the title over the frame's first line, and give back all lines."""
    first, *rest = lines
    rule = "".join(segment.text for segment in first).rstrip("\n")
    if title:
        said = f"+ {title} "
        rule = said[:width] + rule[len(said) :]
    yield Text(rule, style="bold" if title else "")
    for line in rest:
        yield from line
        yield Segment.line()


def repeat(draw: Callable[[], None], every_s: float | None, *, often: bool) -> None:
    """Draw once, or again and again until somebody interrupts: what fails once, as a store that is away for a moment, is said instead."""
    period_s = every_s if every_s is not None else 2.0 if often else None
    if period_s is None:
        draw()
        return
    try:
        while True:
            if sys.stdout.isatty():
                click.clear()
            _draw_or_say(draw)
            sys.stdout.flush()
            time.sleep(period_s)
    except KeyboardInterrupt:
        return


def _draw_or_say(draw: Callable[[], None]) -> None:
    try:
        draw()
    except (click.UsageError, ConfigError, PluginError):  # it would be the same the next time
        raise
    except click.ClickException as error:
        error.show()
    except HacoreError as error:
        click.echo(f"Error: {error}", err=True)
