"""How a scene of the live demonstration looks on a terminal, 80 columns and 24 lines at least. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hacore.demo.scene import Entry, MemberRow, Mood, Scene, Writes

ON_THE_PRIMARY: Final[Mapping[str, str]] = {"k": "kill node", "p": "kill postmaster", "f": "freeze agent", "s": "switch over"}
ON_ALL: Final[Mapping[str, str]] = {"r": "start what is down", "q": "quit"}
_MOODS: Final[Mapping[Mood, str]] = {
    Mood.PLAIN: "",
    Mood.DONE_TO: "bold yellow",
    Mood.GOOD: "bold green",
    Mood.BAD: "bold red",
    Mood.HINT: "dim",
}
_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = "....::||"
_FIXED_LINES: Final = 16  # all but the entries of the log
_FEWEST_ENTRIES: Final = 2
_GAP_S: Final = 0.4  # silence that is no longer a hiccup
_KIB: Final = 1024


class Screen:
    """A scene as Rich renders it, over the whole terminal."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scene, lines = self._scene, options.height or console.height
        entries = scene.log[-max(lines - _FIXED_LINES, _FEWEST_ENTRIES) :]
        yield Group(
            _title(scene),
            Panel(_members(scene.members), title="members", title_align="left", border_style="dim", padding=(0, 1)),
            Panel(_writes(scene.writes, options), title="writes", title_align="left", border_style="dim", padding=(0, 1)),
            Panel(
                _log(entries),
                title="what happened",
                title_align="left",
                border_style="dim",
                padding=(0, 1),
                height=max(lines - _FIXED_LINES, _FEWEST_ENTRIES) + 2,
            ),
            _keys(scene.busy_with),
        )


def _title(scene: Scene) -> Table:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(justify="right", no_wrap=True)
    minutes, seconds = divmod(int(scene.elapsed_s), 60)
    line.add_row(Text(f" {scene.title}", style="bold"), f"{minutes:02}:{seconds:02} ")
    return line


def _members(members: tuple[MemberRow, ...]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False, header_style="dim")
    for name in ("member", "role", "state", "timeline", "lag"):
        justify: Literal["left", "right"] = "right" if name in {"timeline", "lag"} else "left"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", ratio=2 if name == "state" else 1)
    for row in members:
        state = Text(row.trouble or row.state, style="bold red" if row.trouble else _state_style(row.state))
        role = Text(row.role, style="bold green" if row.leads and not row.trouble else "")
        table.add_row(Text(row.name, style="bold"), role, state, _number(row.timeline), "" if row.leads else lag_text(row.lag_bytes))
    return table


def _state_style(state: str) -> str:
    return "green" if state in {"running", "streaming"} else "yellow"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def lag_text(lag_bytes: int | None) -> str:
    """Say a number of bytes in few letters."""
    if lag_bytes is None:
        return "?"
    if lag_bytes < _KIB:
        return f"{lag_bytes} B"
    return f"{lag_bytes / _KIB:,.0f} KiB" if lag_bytes < _KIB * _KIB else f"{lag_bytes / _KIB / _KIB:,.1f} MiB"


def _writes(writes: Writes | None, options: ConsoleOptions) -> Text:
    if writes is None:
        return Text("\nthe writers begin once there is a primary\n", style="dim")
    bars = _PLAIN_BARS if options.ascii_only else _BARS
    lines = [graph(writes.recent, options.max_width - 4, bars), _figures(writes), _gap(writes)]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def graph(recent: tuple[int, ...], width: int, bars: str) -> Text:
    """Draw rows over time, one letter for each short time; the times without any are marked."""
    shown = recent[-width:]
    most = max(shown, default=0) or 1
    text = Text()
    for rows in shown:
        if rows:
            text.append(bars[(rows * len(bars) - 1) // most], style="green")
        else:
            text.append("x", style="bold red")
    return text


def _figures(writes: Writes) -> Text:
    text = Text(f"{writes.rate:,.0f} rows/s   {writes.acknowledged:,} acknowledged   {writes.unknown:,} unknown   ")
    text.append(f"{writes.lost:,} lost", style="bold yellow" if writes.lost else "")
    text.append("   ")
    text.append(f"{writes.two_writers} times two writers", style="bold red" if writes.two_writers else "")
    return text


def _gap(writes: Writes) -> Text:
    if writes.silent_s > _GAP_S:
        return Text(f"no row acknowledged for {writes.silent_s:.1f} s", style="bold red")
    return Text(f"last gap: {writes.last_gap}" if writes.last_gap else "no gap yet", style="bold" if writes.last_gap else "dim")


def _log(entries: tuple[Entry, ...]) -> Text:
    lines = []
    for entry in entries:
        line = Text(f"{entry.at}  ", style="dim")
        line.append(entry.text, style=_MOODS[entry.mood] or "not dim")
        lines.append(line)
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _keys(busy_with: str | None) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" primary: ", style="dim")
    _add_keys(text, ON_THE_PRIMARY, are_idle=busy_with is None)
    text.append("\n cluster: ", style="dim")
    _add_keys(text, ON_ALL, are_idle=True)
    if busy_with is not None:
        text.append(f" waiting for: {busy_with}", style="yellow")
    return text


def _add_keys(text: Text, keys: Mapping[str, str], *, are_idle: bool) -> None:
    for key, meaning in keys.items():
        text.append(f" {key} ", style="bold reverse" if are_idle else "dim")
        text.append(f" {meaning} ", style="" if are_idle else "dim")
