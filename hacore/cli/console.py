"""What people see: tables that fit the screen, colour only on a terminal. It knows no cluster."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Final

import click
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hacore.cli.sheet import Sheet, for_programs

NARROW: Final = 100  # columns: below that what may be left out is
_UNLIMITED: Final = 10_000


def console_for(stream: IO[str], width: int | None = None) -> Console:
    """Return a console: as wide as the terminal, or without limit where there is none."""
    if width is None:
        width = shutil.get_terminal_size().columns if stream.isatty() else _UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def show(sheets: Sequence[Sheet], form: str, *, everything: bool = False) -> None:
    """Write sheets to standard output, for people or for programs."""
    if form != "pretty":
        click.echo(for_programs(sheets, form, everything=everything))
        return
    console = console_for(sys.stdout)
    for sheet in sheets:
        console.print(Framed(sheet, everything=everything))


class Framed:
    """A sheet as a frame of lines with its title in the top one."""

    def __init__(self, sheet: Sheet, *, everything: bool = False) -> None:
        self._sheet = sheet
        self._everything = everything

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        is_narrow = options.max_width < NARROW
        table = self._table(is_narrow=is_narrow, width=options.max_width)
        lines = console.render_lines(table, options, pad=False)
        yield from _with_title(lines, self._sheet.title, options.max_width)
        for line in self._sheet.footer:
            yield Text(line, style=_warning(line))

    def _table(self, *, is_narrow: bool, width: int) -> Table:
        columns = [
            one for one in self._sheet.shown(everything=self._everything) if not one.for_programs and not (is_narrow and one.is_wide)
        ]
        title = len(self._sheet.title)
        table = Table(box=box.ASCII2, header_style="bold", min_width=min(title + 6, width) if title else None, pad_edge=True)
        for one in columns:
            header = (one.narrow_header if is_narrow else None) or one.header or one.title
            table.add_column(Text(header), justify="right" if one.right else "left", overflow="fold")
        for row in self._sheet.rows:
            table.add_row(*(Text(one.text(row.get(one.title)), style=one.style(row.get(one.title))) for one in columns))
        return table


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


def _warning(line: str) -> str:
    return "yellow" if line.strip() else ""


def repeat(draw: Callable[[], None], every_s: float | None, *, often: bool) -> None:
    """Draw once, or again and again until somebody interrupts."""
    period_s = every_s if every_s is not None else 2.0 if often else None
    if period_s is None:
        draw()
        return
    try:
        while True:
            if sys.stdout.isatty():
                click.clear()
            draw()
            sys.stdout.flush()
            time.sleep(period_s)
    except KeyboardInterrupt:
        return
