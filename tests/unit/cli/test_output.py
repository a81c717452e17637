"""The forms of output: for programs, and as a frame on screens of any width."""

import io
import json

import pytest
import yaml
from rich.console import Console

from hacore.cli.console import MARK, Framed
from hacore.cli.members_table import members_sheet
from hacore.cli.sheet import Column, Sheet, document, for_programs, plain, short_lines
from hacore.model.lsn import Lsn
from tests.unit.cli.views import leader, member, tags, view

SHEET = Sheet(
    columns=(Column(title="Name"), Column(title="Count", right=True), Column(title="Note", optional=True)),
    rows=({"Name": "a", "Count": 1, "Note": None}, {"Name": "b", "Count": 22, "Note": None}),
    title="Things",
)


def drawn(sheet: Sheet, width: int, *, colour: bool = False, everything: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, highlight=False, markup=False, _environ={})
    console.print(Framed(sheet, everything=everything))
    return stream.getvalue()


def test_a_frame_has_its_title_in_the_top_line_and_numbers_to_the_right() -> None:
    assert drawn(SHEET, 80) == (
        "+ Things ------+\n| Name | Count |\n+------+-------+\n| a    |     1 |\n| b    |    22 |\n+------+-------+\n"
    )


def test_columns_without_any_value_are_shown_only_when_everything_is_wanted() -> None:
    assert "Note" not in drawn(SHEET, 80)
    assert "Note" in drawn(SHEET, 80, everything=True)


def lines_of(width: int, *members: object) -> list[str]:
    return drawn(members_sheet(view(*members), "demo"), width).splitlines()  # type: ignore[arg-type]


def test_the_list_keeps_its_lags_and_drops_positions_where_the_screen_is_narrow() -> None:
    wide, narrow = lines_of(120), lines_of(72)
    assert "Receive LSN" in "".join(wide)
    assert "LSN" not in "".join(narrow)
    assert "".join(narrow).count("Lag") == 2
    assert max(map(len, narrow)) <= 72


def test_what_does_not_fit_is_said_below_the_frame() -> None:
    waiting = member("b", pending_restart=True, pending_restart_reason=(("max_connections", "100", "200"),), tags=tags(nofailover=True))
    lines = lines_of(80, leader("a"), waiting)
    assert max(map(len, lines)) <= 80
    said = " ".join(line.strip() for line in lines[lines.index(next(line for line in lines if line.startswith(" b: "))) :])
    assert said == "b: pending restart; pending restart reason: max_connections: 100->200; tags: {nofailover: true}"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_line_of_a_list_is_longer_than_the_screen(width: int) -> None:
    assert max(map(len, lines_of(width))) <= width


def test_there_is_colour_on_a_terminal_only() -> None:
    sheet = members_sheet(view(), "demo")
    assert "\x1b[" in drawn(sheet, 80, colour=True)
    assert "\x1b[" not in drawn(sheet, 80)


def test_what_stands_in_a_record_is_never_taken_for_markup() -> None:
    assert "[bold]b[/bold]" in drawn(members_sheet(view(leader("a"), member("[bold]b[/bold]")), "demo"), 200)


def test_tsv_has_a_line_of_titles_and_one_line_for_each_row() -> None:
    assert for_programs([SHEET], "tsv") == "Name\tCount\na\t1\nb\t22"
    assert for_programs([SHEET], "tsv", everything=True).splitlines()[0] == "Name\tCount\tNote"


def test_json_and_yaml_hold_the_same_objects() -> None:
    wanted = [{"Name": "a", "Count": 1}, {"Name": "b", "Count": 22}]
    assert json.loads(for_programs([SHEET], "json")) == wanted
    assert yaml.safe_load(for_programs([SHEET], "yaml")) == wanted
    assert for_programs([SHEET], "yml") == for_programs([SHEET], "yaml")


def test_values_of_our_own_types_are_written_as_plain_ones() -> None:
    assert json.loads(document({"lsn": Lsn(5), "list": (1, 2), "text": None}, "json")) == {"lsn": 5, "list": [1, 2], "text": None}
    assert yaml.safe_load(document({"lsn": Lsn(5)}, "yaml")) == {"lsn": 5}


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (1.5, "1.5"), ({"a": True}, "{a: true}"), ("a\tb\nc", "a b, c"), (MARK, "*")]
)
def test_a_cell_is_one_line(value: object, text: str) -> None:
    assert plain(value) == text


def test_a_reason_that_would_burst_the_table_is_hidden_and_the_others_stay() -> None:
    assert short_lines("a: 1->2\nb: " + "x" * 60) == "a: 1->2\nb: [hidden - too long]"
