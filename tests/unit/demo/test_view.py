from io import StringIO

import pytest
from rich.console import Console

from hacore.demo.pulse import SLOT_S, rate_of, rows_per_slot
from hacore.demo.scene import Entry, MemberRow, Mood, Scene, Writes
from hacore.demo.view import ON_ALL, ON_THE_PRIMARY, Screen, graph, lag_text

MEMBERS = (
    MemberRow(name="n1", role="leader", state="running", timeline=4, trouble="killed"),
    MemberRow(name="n2", role="standby", state="streaming", timeline=4, lag_bytes=2048),
    MemberRow(name="n3", role="standby", state="streaming", timeline=4, lag_bytes=0),
)
WRITES = Writes(rate=97, recent=(20, 0, 25), silent_s=1.24, acknowledged=12345, unknown=3, lost=2, two_writers=0, last_gap="372 ms (n2)")
LOG = tuple(Entry(at="05:12:33", text=f"entry {number}", mood=Mood.PLAIN) for number in range(50))


def drawn(scene: Scene, *, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    file = StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False)
    options = console.options.update(height=height)
    options.encoding = encoding
    console.print(Screen(scene), end="") if encoding == "utf-8" else file.write(
        "".join(s.text for s in console.render(Screen(scene), options))
    )
    return file.getvalue().rstrip("\n").split("\n")


def scene(**changes: object) -> Scene:
    values: dict[str, object] = {"title": "hacore", "elapsed_s": 62.0, "members": MEMBERS, "writes": WRITES, "log": LOG, **changes}
    return Scene(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("height", [24, 30, 50])
def test_everything_fits_the_terminal(height: int) -> None:
    lines = drawn(scene(), height=height)
    assert len(lines) == height
    assert max(len(line) for line in lines) <= 80


def test_the_newest_entries_are_shown() -> None:
    text = "\n".join(drawn(scene()))
    assert "entry 49" in text
    assert "entry 40" not in text


def test_every_key_is_named() -> None:
    text = "\n".join(drawn(scene()))
    for meaning in [*ON_THE_PRIMARY.values(), *ON_ALL.values()]:
        assert meaning in text


def test_what_was_done_to_a_node_counts_more_than_what_it_says_of_itself() -> None:
    line = next(line for line in drawn(scene()) if "n1" in line)
    assert "killed" in line
    assert "running" not in line


def test_silence_is_said_in_place_of_the_last_gap() -> None:
    assert any("no row acknowledged for 1.2 s" in line for line in drawn(scene()))
    calm = Writes(rate=97, recent=(20,), silent_s=0.01, acknowledged=1, last_gap="372 ms (n2)")
    assert any("last gap: 372 ms (n2)" in line for line in drawn(scene(writes=calm)))


def test_before_the_first_row_the_screen_has_the_same_size() -> None:
    assert len(drawn(scene(writes=None, log=LOG[:1], busy_with="the cluster"))) == 24


def test_a_terminal_without_unicode_gets_plain_letters() -> None:
    assert all(ord(letter) < 128 for line in drawn(scene(), encoding="ascii") for letter in line)


def test_times_without_rows_are_marked_in_the_graph() -> None:
    assert str(graph((8, 0, 4, 1), 3, "1234")) == "x41"


def test_lag_is_said_in_few_letters() -> None:
    assert [lag_text(size) for size in (None, 0, 1023, 2048, 5 << 20)] == ["?", "0 B", "1023 B", "2 KiB", "5.0 MiB"]


def test_rows_are_counted_in_slots_that_are_over() -> None:
    assert rows_per_slot([10.3, 10.4, 10.6, 11.1], begin=10.0, now=11.1) == (2, 1, 0)
    assert rows_per_slot([], begin=10.0, now=10.1) == ()


def test_the_rate_is_that_of_the_last_two_seconds() -> None:
    assert rate_of((1000, *[25] * 8)) == 25 / SLOT_S
    assert rate_of(()) == 0.0
