from hacore.demo.scene import MemberRow
from hacore.demo.watching import Changes


def row(name: str, state: str, *, leads: bool = False, timeline: int = 1, trouble: str | None = None) -> MemberRow:
    return MemberRow(name=name, role="leader" if leads else "standby", state=state, timeline=timeline, trouble=trouble)


def told(changes: Changes, *rows: MemberRow) -> list[str]:
    return [text for text, _ in changes.told(rows)]


def test_a_state_is_told_once() -> None:
    changes = Changes()
    assert told(changes, row("a", "streaming")) == ["a: streaming"]
    assert told(changes, row("a", "streaming")) == []


def test_a_new_leader_is_told_with_its_new_timeline_only() -> None:
    changes = Changes()
    assert told(changes, row("a", "running", leads=True)) == ["a leads on timeline 1"]
    assert told(changes, row("a", "stopped"), row("b", "running", leads=True)) == ["a: stopped"]
    assert told(changes, row("a", "stopped"), row("b", "running", leads=True, timeline=2)) == ["b leads on timeline 2"]


def test_a_primary_that_is_back_in_place_is_told() -> None:
    changes = Changes()
    told(changes, row("a", "running", leads=True))
    assert told(changes, row("a", "crashed", leads=True)) == ["a: crashed"]
    assert told(changes, row("a", "running", leads=True)) == ["a leads on timeline 1"]


def test_what_was_done_to_a_node_is_not_told_as_news() -> None:
    changes = Changes()
    told(changes, row("a", "running", leads=True))
    assert told(changes, row("a", "stopped", trouble="killed")) == []


def test_a_fresh_copy_has_not_crashed() -> None:
    changes = Changes()
    assert told(changes, row("a", "creating replica")) == ["a: creating replica"]
    assert told(changes, row("a", "crashed")) == []
    assert told(changes, row("a", "streaming")) == ["a: streaming"]
