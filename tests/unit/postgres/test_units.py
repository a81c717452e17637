import pytest

from hacore.postgres import units


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("16MB", "8kB", 2048),
        ("2048", "8kB", 2048),
        ("1GB", "MB", 1024),
        ("128", "MB", 128),
        ("5min", "s", 300),
        ("1500us", "ms", 1.5),
        ("1.5GB", "MB", 1536),
        ("0x10", None, 16),
        ("-1", "kB", -1),
        ("1min", "kB", None),
        ("much", "kB", None),
        ("3kb", "kB", None),
    ],
)
def test_a_number_is_read_in_the_unit_of_its_setting(text: str, unit: str | None, value: float | None) -> None:
    assert units.number(text, unit) == value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2048, "8kB", "16MB"),
        (100, None, "100"),
        (-1, "kB", "-1"),
        (300, "s", "5min"),
        (1536, "MB", "1536MB"),
        (0, "s", "0"),
        (0.5, None, "0.5"),
    ],
)
def test_a_number_is_written_in_the_largest_unit_that_divides_it(value: float, unit: str | None, text: str) -> None:
    assert units.human(value, unit) == text


@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("T", True), ("yes", True), ("of", False), ("0", False), ("o", None), ("maybe", None), ("", None)]
)
def test_booleans_are_read_in_every_spelling_that_postgresql_takes(text: str, value: bool | None) -> None:
    assert units.boolean(text) is value


@pytest.mark.parametrize(
    ("left", "right", "kind", "unit", "is_same"),
    [
        ("16MB", "2048", "integer", "8kB", True),
        ("on", "true", "bool", None, True),
        ("Replica", "replica", "enum", None, True),
        ("0.90", "0.9", "real", None, True),
        ("a, b", "a,b", "string", None, False),
        ("100", "101", "integer", None, False),
    ],
)
def test_the_same_value_in_another_spelling_is_the_same(left: str, right: str, kind: str, unit: str | None, is_same: bool) -> None:
    assert units.same(left, right, kind=kind, unit=unit) is is_same
