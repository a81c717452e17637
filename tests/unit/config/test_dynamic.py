import json
from pathlib import Path
from typing import Any

import pytest

from hacore.config import dynamic
from hacore.config.dynamic import CACHE_NAME, accept, dump, faults, parse, patch, read_cache, unknown, write_cache
from hacore.errors import ConfigError

GOOD: dict[str, Any] = {"ttl": 30, "postgresql": {"parameters": {"max_connections": 100}}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        '"a"',
        "null",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 2}}',
        "{",
        '{"a": 1} x',
        '{"a": ' + "[" * 40 + "]" * 40 + "}",
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        '{"a": "' + "x" * (1 << 20) + '"}',
        '{"a": "\ud800"}',
    ],
)
def test_a_text_that_nobody_writes_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_half_a_character_that_is_escaped_is_refused_too() -> None:
    with pytest.raises(ConfigError):
        parse('{"a": "\\ud800"}')


def test_the_order_of_keys_survives_reading_and_writing() -> None:
    text = '{"z":1,"a":{"y":"ä","b":[1,2.5,null]}}'
    assert dump(parse(text)) == text


@pytest.mark.parametrize("text", [None, "", " ", "x", "[]", '{"ttl": "soon"}', '{"postgresql": {"use_slots": []}}'])
def test_what_was_last_good_stays_in_force(text: str | None) -> None:
    found = accept(text, GOOD)
    assert (found.config, found.is_new) == (GOOD, False)
    assert all(map(str, found.faults))


def test_a_good_text_takes_force() -> None:
    found = accept('{"ttl": 40, "mine": 1}', GOOD)
    assert (found.config, found.faults, found.is_new) == ({"ttl": 40, "mine": 1}, (), True)


def test_before_anything_good_was_seen_a_broken_text_gives_nothing() -> None:
    assert accept("x", None).config is None


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({}, []),
        (GOOD, []),
        ({"ttl": "soon", "loop_wait": []}, ["loop_wait", "ttl"]),
        ({"synchronous_mode": "maybe"}, ["synchronous_mode"]),
        ({"synchronous_mode_strict": "maybe"}, ["synchronous_mode_strict"]),
        ({"synchronous_node_count": "two"}, ["synchronous_node_count"]),
        ({"maximum_lag_on_syncnode": []}, ["maximum_lag_on_syncnode"]),
        ({"failsafe_mode": 7}, ["failsafe_mode"]),
        ({"slots": {"a": 1}}, ["slots.a"]),
        ({"ignore_slots": [{}, 1]}, ["ignore_slots[1]"]),
        ({"standby_cluster": {"host": [], "port": {}}}, ["standby_cluster.host", "standby_cluster.port"]),
        ({"standby_cluster": {"primary_slot_name": ""}}, ["standby_cluster.primary_slot_name"]),
        ({"standby_cluster": {"create_replica_methods": {}}}, ["standby_cluster.create_replica_methods"]),
        ({"standby_cluster": {"restore_command": []}}, ["standby_cluster.restore_command"]),
        ({"standby_cluster": {"archive_cleanup_command": []}}, ["standby_cluster.archive_cleanup_command"]),
        ({"standby_cluster": {"recovery_min_apply_delay": []}}, ["standby_cluster.recovery_min_apply_delay"]),
        ({"hacore": {"ttl": "x", "loop_wait": -1}}, ["hacore.loop_wait", "hacore.ttl"]),
        ({"postgresql": []}, ["postgresql"]),
        ({"postgresql": {"parameters": {"a": []}, "pg_hba": [1.5]}}, ["postgresql.parameters.a", "postgresql.pg_hba[0]"]),
        ({"postgresql": {"create_replica_methods": ["m"], "m": {"no_leader": "x"}}}, ["postgresql.m.no_leader"]),
        ({"postgresql": {"data_dir": []}}, []),
        ({"unknown": {"deep": []}}, []),
    ],
)
def test_every_value_that_cannot_be_used_is_a_fault(config: dict[str, Any], paths: list[str]) -> None:
    assert sorted(fault.path for fault in faults(config)) == paths


def test_keys_that_nobody_knows_are_kept_and_named() -> None:
    found = unknown({"tttl": 1, "postgresql": {"use_slot": 1, "data_dir": "x", "create_replica_methods": ["m"], "m": {}}, "ttl": 1})
    assert [(fault.path, fault.suggestion) for fault in found] == [("tttl", "ttl"), ("postgresql.use_slot", "use_slots")]


def test_a_misspelt_key_of_the_own_section_is_named() -> None:
    found = unknown({"hacore": {"ttll": 5, "backups": {"schedule": "0 3 * * *"}, "drain_timeout": 1}})
    assert [(fault.path, fault.suggestion) for fault in found] == [("hacore.ttll", "ttl"), ("hacore.backups", "backup")]


@pytest.mark.parametrize(
    ("before", "change", "after", "changed"),
    [
        ({"a": 1}, {}, {"a": 1}, False),
        ({"a": 1}, {"a": 1}, {"a": 1}, False),
        ({"a": 1}, {"a": "1"}, {"a": 1}, False),
        ({"a": 1}, {"a": 2}, {"a": 2}, True),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": None}, {}, True),
        ({"a": 1}, {"b": None}, {"a": 1}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}, True),
        ({"a": {"b": 1}}, {"a": {"b": "1"}}, {"a": {"b": 1}}, False),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, True),
        ({"a": [1]}, {"a": [1]}, {"a": [1]}, False),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}, True),
        ({"a": None}, {"a": None}, {}, True),
    ],
)
def test_a_patch_merges_deletes_and_replaces(before: dict[str, Any], change: dict[str, Any], after: dict[str, Any], changed: bool) -> None:
    assert patch(before, change) == (after, changed)


def test_a_patch_keeps_the_order_of_keys_and_leaves_its_input_alone() -> None:
    before: dict[str, Any] = {"z": 1, "m": {"y": 1, "x": 2}, "a": 3}
    copy = json.dumps(before)
    after, _ = patch(before, {"m": {"x": 5, "w": 6}, "z": 2})
    assert dump(after) == '{"z":2,"m":{"y":1,"x":5,"w":6},"a":3}'
    assert json.dumps(before) == copy


def test_the_cache_brings_back_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15")
    tmp_path.chmod(0o750)
    write_cache(str(tmp_path), GOOD)
    assert read_cache(str(tmp_path)) == GOOD
    assert oct((tmp_path / CACHE_NAME).stat().st_mode & 0o777) == "0o640"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["PG_VERSION", CACHE_NAME]


def test_no_cache_is_written_where_no_data_directory_is(tmp_path: Path) -> None:
    write_cache(str(tmp_path), GOOD)
    write_cache(str(tmp_path / "missing"), GOOD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [None, b"", b"x", b"[]", b"\xff", b"{" + b" " * (2 << 20)])
def test_a_cache_that_is_missing_or_broken_counts_as_none(data: bytes | None, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / CACHE_NAME).write_bytes(data)
    assert read_cache(str(tmp_path)) is None


def test_a_write_that_was_interrupted_leaves_the_old_cache(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15")
    write_cache(str(tmp_path), GOOD)
    (tmp_path / f"{CACHE_NAME}.new").write_text('{"ttl":')
    assert read_cache(str(tmp_path)) == GOOD
    write_cache(str(tmp_path), {"ttl": 50})
    assert read_cache(str(tmp_path)) == {"ttl": 50}


def test_a_fault_of_the_dynamic_configuration_shows_no_secret() -> None:
    found = faults({"postgresql": {"callbacks": {"on_start": "'x password=hush"}}})
    assert "hush" not in str(found[0])
    assert dynamic.MAX_BYTES == 1 << 20
