import math
from collections.abc import Callable

import pytest

from hacore import convert
from hacore.convert import WrongValueError

LIST = convert.listed(convert.whole(1))
MAP = convert.mapped(convert.flag)


@pytest.mark.parametrize(
    ("converter", "found", "wanted"),
    [
        (convert.text, "a", "a"),
        (convert.text, 12, "12"),
        (convert.text, "", ""),
        (convert.word, " a ", " a "),
        (convert.flag, True, True),
        (convert.flag, "ON", True),
        (convert.flag, "yes", True),
        (convert.flag, 1, True),
        (convert.flag, "Off", False),
        (convert.flag, "no", False),
        (convert.flag, 0, False),
        (convert.whole(), "12", 12),
        (convert.whole(), 12.0, 12),
        (convert.whole(-1), -1, -1),
        (convert.number(), "1.5", 1.5),
        (convert.seconds, 30, 30.0),
        (convert.seconds, "30", 30.0),
        (convert.seconds, "30s", 30.0),
        (convert.seconds, "1.5 min", 90.0),
        (convert.seconds, "500ms", 0.5),
        (convert.seconds, "2h", 7200.0),
        (convert.seconds, "1d", 86400.0),
        (convert.size_bytes, "16MB", 16 << 20),
        (convert.size_bytes, "1 gb", 1 << 30),
        (convert.size_bytes, "8kB", 8192),
        (convert.size_bytes, -1, -1),
        (convert.choice("none", "all"), "ALL", "all"),
        (convert.choice("off", "on"), False, "off"),
        (convert.choice("a", synonyms={"b": "a"}), "B", "a"),
        (convert.command, "/bin/true 'a b'", "/bin/true 'a b'"),
        (LIST, [1, "2"], (1, 2)),
        (MAP, {"a": "on", 1: 0}, {"a": True, "1": False}),
        (convert.words_or_text, "a, b,,c", ("a", "b", "c")),
        (convert.words_or_text, ["a", "b"], ("a", "b")),
        (convert.setting, True, "on"),
        (convert.setting, 0.5, "0.5"),
        (convert.setting, "x", "x"),
        (convert.argument, True, "True"),
        (convert.argument, 3, "3"),
    ],
)
def test_a_right_value_is_converted(converter: Callable[[object], object], found: object, wanted: object) -> None:
    assert converter(found) == wanted


@pytest.mark.parametrize(
    ("converter", "found"),
    [
        (convert.text, None),
        (convert.text, True),
        (convert.text, 1.5),
        (convert.text, ["a"]),
        (convert.text, "a\0b"),
        (convert.word, ""),
        (convert.word, "a\nb"),
        (convert.flag, "maybe"),
        (convert.flag, 2),
        (convert.flag, None),
        (convert.flag, []),
        (convert.whole(), True),
        (convert.whole(), 1.5),
        (convert.whole(), "x"),
        (convert.whole(), "9" * 70),
        (convert.whole(), 1 << 70),
        (convert.whole(1), 0),
        (convert.whole(1, 5), 6),
        (convert.number(0, 1), 2),
        (convert.number(), math.inf),
        (convert.number(), math.nan),
        (convert.seconds, -1),
        (convert.seconds, "1 week"),
        (convert.seconds, None),
        (convert.size_bytes, "1 XB"),
        (convert.size_bytes, {}),
        (convert.choice("a"), "b"),
        (convert.choice("a"), 1),
        (convert.command, "'open"),
        (convert.command, "  "),
        (LIST, "1"),
        (LIST, {}),
        (MAP, []),
        (convert.words_or_text, {}),
        (convert.words_or_text, [1.5]),
        (convert.setting, None),
        (convert.setting, []),
        (convert.setting, math.inf),
    ],
)
def test_a_wrong_value_says_what_is_wanted(converter: Callable[[object], object], found: object) -> None:
    with pytest.raises(WrongValueError) as caught:
        converter(found)
    assert str(caught.value)


def test_all_wrong_parts_of_a_list_are_said() -> None:
    with pytest.raises(WrongValueError) as caught:
        LIST([1, "x", 0])
    assert set(caught.value.parts) == {(1,), (2,)}


def test_all_wrong_parts_of_a_mapping_are_said_with_their_paths() -> None:
    with pytest.raises(WrongValueError) as caught:
        convert.mapped(LIST)({"a": ["x"], "b": [1], "c": "no"})
    assert set(caught.value.parts) == {("a", 0), ("c",)}
