"""Changes of the dynamic configuration by options and files."""

from pathlib import Path

import click
import pytest

from hacore.cli.changes import Wanted, changed, difference, key_path, text_of
from hacore.cli.site import CommandError

CONFIG = {"ttl": 30, "postgresql": {"use_slots": True, "parameters": {"work_mem": "4MB"}}}


def test_an_option_sets_a_key_whose_value_is_yaml() -> None:
    assert changed(CONFIG, Wanted(settings=["ttl=40", "postgresql.use_slots=false"])) == {
        "ttl": 40,
        "postgresql": {"use_slots": False, "parameters": {"work_mem": "4MB"}},
    }


def test_what_was_not_asked_for_stays_as_it_is() -> None:
    before = {"tags": {}, **CONFIG}
    assert changed(before, Wanted(settings=["ttl=40"]))["tags"] == {}
    assert CONFIG["ttl"] == 30


def test_null_removes_a_key_and_the_mappings_that_become_empty() -> None:
    assert changed(CONFIG, Wanted(settings=["postgresql.parameters.work_mem=null"])) == {"ttl": 30, "postgresql": {"use_slots": True}}
    assert changed({"a": {"b": {"c": 1}}}, Wanted(settings=["a.b.c=null"])) == {}


def test_dots_in_the_name_of_a_parameter_belong_to_it() -> None:
    found = changed(
        CONFIG, Wanted(settings=["postgresql.parameters.pg_stat_statements.max=5"], parameters=["auto_explain.log_min_duration=1s"])
    )
    assert found["postgresql"]["parameters"] == {"work_mem": "4MB", "pg_stat_statements.max": 5, "auto_explain.log_min_duration": "1s"}


def test_a_file_is_laid_over_or_put_in_place(tmp_path: Path) -> None:
    file = tmp_path / "change.yml"
    file.write_text("ttl: 50\npostgresql: {use_slots: null}\n")
    assert changed(CONFIG, Wanted(apply_file=str(file))) == {"ttl": 50, "postgresql": {"parameters": {"work_mem": "4MB"}}}
    file.write_text("ttl: 60\n")
    assert changed(CONFIG, Wanted(replace_file=str(file), settings=["loop_wait=5"])) == {"ttl": 60, "loop_wait": 5}


@pytest.mark.parametrize("value", [".inf", "2025-01-31", "!!binary aGFjb3Jl"])
def test_a_value_of_yaml_that_the_store_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(CommandError, match="want text, numbers"):
        text_of(changed(CONFIG, Wanted(settings=[f"ttl={value}"])))


@pytest.mark.parametrize("text", ["a", "[]", "a: b: c", "\t- x"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "change.yml"
    file.write_text(text)
    with pytest.raises(CommandError, match=r"want a mapping|not YAML"):
        changed(CONFIG, Wanted(apply_file=str(file)))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        changed(CONFIG, Wanted(apply_file=str(tmp_path / "none.yml")))


@pytest.mark.parametrize("text", ["ttl", "=1", "a..b=1", ".a=1", "ttl={"])
def test_an_option_that_cannot_be_read_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError):
        changed(CONFIG, Wanted(settings=[text]))


def test_a_key_is_split_at_its_dots() -> None:
    assert key_path("postgresql.use_slots") == ("postgresql", "use_slots")


def test_the_difference_shows_the_lines_that_change() -> None:
    lines = difference({"ttl": 30, "loop_wait": 10}, {"ttl": 40, "loop_wait": 10})
    assert [line for line in lines if line[0] in "+-" and line[1] not in "+-"] == ["-ttl: 30", "+ttl: 40"]


def test_standard_input_is_known_to_be_read() -> None:
    assert Wanted(apply_file="-").reads_stdin
    assert not Wanted(apply_file="x").reads_stdin
    assert Wanted().is_empty
