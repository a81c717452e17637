import pytest

from hacore.config import ConfigFaultsError
from hacore.config.document import MAX_BYTES, decode, parse, parse_value


def _faults(text: str) -> list[str]:
    try:
        return [str(fault) for fault in parse(text, "f.yml").faults]
    except ConfigFaultsError as error:
        return [str(fault) for fault in error.faults]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("a: 1", {"a": 1}),
        ("a: on\nb: no\nc: ~\nd:", {"a": True, "b": False, "c": None, "d": None}),
        ("a: 0644", {"a": "0644"}),
        ("a: 0x1F", {"a": 31}),
        ("a: 10:30", {"a": "10:30"}),
        ("a: 2025-01-01", {"a": "2025-01-01"}),
        ("a: 1.5\nb: .5", {"a": 1.5, "b": 0.5}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: '1'\nb: \"on\"", {"a": "1", "b": "on"}),
        ("a: !!str 1", {"a": "1"}),
        ("1: a", {"1": "a"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: &x {k: 1}\nb: &y {k: 2, m: 1}\nc: {<<: [*x, *y]}", {"a": {"k": 1}, "b": {"k": 2, "m": 1}, "c": {"k": 1, "m": 1}}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_plain_yaml_becomes_plain_values(text: str, values: object) -> None:
    assert parse(decode(text.encode(), "f.yml"), "f.yml").values == values


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, "a tab"),
        ("a: 1\nb: 2\na: 3\n", 3, "first stands in line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "a.b: found the key b twice"),
        ("a: 1\n- b\n", 2, "not YAML"),
        ("a: [1\n", 2, "not YAML"),
        ("a: 'x\n", 2, "not YAML"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: &a [*a]\n", 1, "aliases that expand"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("- a\n", 1, "a mapping of sections"),
        ("just text\n", 1, "a mapping of sections"),
        ("a: 1\nb: 'x\x01'\n", 2, "U+0001"),
        ("on: 1\n", 1, "put it in quotes"),
        ("~: 1\n", 1, "put it in quotes"),
        ("? [a]\n: 1\n", 1, "a key that is text"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "a plain value"),
        ("a: !!binary aGk=\n", 1, "a plain value"),
        ("a: !mine x\n", 1, "a plain value"),
        ("a: {<<: 1}\n", 1, "a mapping after <<"),
        ('a: "\\ud800"\n', 1, "half a character"),
        ("a: " + "[" * 100, 1, "levels of nesting"),
        ("a:\n" + " - x\n" * 60000, 50_000, "values"),
    ],
)
def test_what_is_not_plain_yaml_is_said_with_its_line(text: str, line: int, part: str) -> None:
    (fault, *_) = _faults(text)
    assert part in fault
    assert abs(int(fault.split(":")[1]) - line) <= (1 if line >= 50_000 else 0)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    assert "aliases that expand" in _faults("\n".join(lines))[0]


def test_every_fault_of_a_readable_text_is_said() -> None:
    assert len(_faults("a: 1\na: 2\nb: 1\nb: 2\nc: !!set {x}\n")) == 3


def test_a_file_of_more_than_one_mebibyte_is_refused() -> None:
    with pytest.raises(ConfigFaultsError, match="1 MiB"):
        decode(b"#" * (MAX_BYTES + 1), "f.yml")


@pytest.mark.parametrize("data", [b"a: 1\nb: \xff\n", "a: ä".encode("latin-1"), "a: 1".encode("utf-16")])
def test_text_that_is_not_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigFaultsError, match="UTF-8"):
        decode(data, "f.yml")


def test_the_line_of_the_first_wrong_byte_is_said() -> None:
    with pytest.raises(ConfigFaultsError, match=r"f\.yml:2: found the byte 0xff"):
        decode(b"a: 1\nb: \xff\n", "f.yml")


def test_every_value_knows_its_line() -> None:
    document = parse("a:\n  b: 1\n  c:\n    - x\n    - y\n", "f.yml")
    assert {path: place.line for path, place in document.places.items()} == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
    }


def test_a_merged_value_has_the_line_where_it_is_written() -> None:
    document = parse("a: &x\n  k: 1\n  l: 2\nb:\n  <<: *x\n  l: 3\n", "f.yml")
    assert (document.place(("b", "l")), document.place(("b", "k"))) == (document.places["b", "l"], document.places["b", "k"])
    assert document.places["b", "l"].line == 6
    assert document.places["b", "k"].line == 2


def test_a_single_value_is_read_as_yaml() -> None:
    assert parse_value("[a, 1]", "PATRONI_X") == ["a", 1]
