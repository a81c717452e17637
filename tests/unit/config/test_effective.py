from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hacore.config import Effective, effective
from hacore.config.controlled import CONTROLLED
from hacore.config.keys import DYNAMIC_KEYS
from hacore.config.postgresql_keys import SHARED_KEYS
from hacore.model.policy import Policy
from tests.unit.config.samples import changed, load_values


def _effective(tmp_path: Path, dynamic: Mapping[str, Any] | None, changes: Mapping[str, Any] | None = None) -> Effective:
    return effective(load_values(changed(changes or {}), tmp_path).local, dynamic)


@pytest.mark.parametrize("dynamic", [None, {}])
def test_without_a_dynamic_configuration_everything_has_its_default(dynamic: Mapping[str, Any] | None, tmp_path: Path) -> None:
    found = _effective(tmp_path, dynamic)
    assert (found.policy, found.warnings) == (Policy(), ())


@pytest.mark.parametrize(
    ("key", "value", "name", "wanted"),
    [
        ("maximum_lag_on_failover", "2MB", "maximum_lag_on_failover", 2 << 20),
        ("check_timeline", "on", "check_timeline", True),
        ("max_timelines_history", 5, "max_timelines_history", 5),
        ("primary_start_timeout", 0, "primary_start_timeout_s", 0.0),
        ("master_start_timeout", 10, "primary_start_timeout_s", 10.0),
        ("primary_stop_timeout", "1min", "primary_stop_timeout_s", 60.0),
        ("master_stop_timeout", 5, "primary_stop_timeout_s", 5.0),
        ("member_slots_ttl", "30min", "member_slots_ttl_s", 1800.0),
        ("member_slots_ttl", 0, "member_slots_ttl_s", 0.0),
        ("pause", True, "pause", True),
        ("postgresql", {"use_slots": False}, "use_slots", False),
        ("postgresql", {"use_pg_rewind": "yes"}, "use_pg_rewind", True),
        ("postgresql", {"remove_data_directory_on_rewind_failure": True}, "remove_data_directory_on_rewind_failure", True),
        ("postgresql", {"remove_data_directory_on_diverged_timelines": True}, "remove_data_directory_on_diverged_timelines", True),
    ],
)
def test_a_dynamic_key_reaches_the_policy(key: str, value: object, name: str, wanted: object, tmp_path: Path) -> None:
    found = _effective(tmp_path, {key: value})
    assert (getattr(found.policy, name), found.warnings) == (wanted, ())


@pytest.mark.parametrize(
    "dynamic",
    [
        {"ttl": "soon"},
        {"loop_wait": []},
        {"retry_timeout": -1},
        {"pause": "maybe"},
        {"maximum_lag_on_failover": None, "check_timeline": {}},
        {"postgresql": "x"},
        {"postgresql": {"use_slots": []}},
        {"postgresql": {"parameters": []}},
        {"postgresql": {"pg_hba": "x"}},
        {"hacore": []},
        {"hacore": {"ttl": "x"}},
        {"member_slots_ttl": "a"},
    ],
)
def test_a_wrong_dynamic_value_falls_back_to_its_default_and_is_said(dynamic: Mapping[str, Any], tmp_path: Path) -> None:
    found = _effective(tmp_path, dynamic)
    assert found.policy == Policy()
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("dynamic", "part", "refuses"),
    [
        ({"synchronous_mode": True}, "synchronous_mode", True),
        ({"synchronous_mode": "quorum", "synchronous_mode_strict": True}, "synchronous_mode", True),
        ({"standby_cluster": {"host": "a", "port": 5432}}, "standby_cluster", True),
        ({"standby_cluster": {"restore_command": "x"}}, "standby_cluster", True),
        ({"failsafe_mode": True}, "failsafe_mode", False),
        ({"slots": {"a": {"type": "physical"}}}, "slots", False),
        ({"permanent_replication_slots": {"a": None}}, "permanent_replication_slots", False),
        ({"ignore_slots": [{"name": "a"}]}, "ignore_slots", False),
    ],
)
def test_a_feature_that_does_not_work_yet_is_ignored_and_shown(
    dynamic: Mapping[str, Any], part: str, refuses: bool, tmp_path: Path
) -> None:
    found = _effective(tmp_path, dynamic)
    (sentence,) = found.unsupported
    assert sentence.startswith(part)
    assert found.policy.unsupported == found.unsupported
    assert (found.policy.refuses_election is not None) is refuses


@pytest.mark.parametrize(
    "dynamic",
    [
        {"synchronous_mode": False, "synchronous_node_count": 2, "maximum_lag_on_syncnode": -1, "synchronous_mode_strict": False},
        {"standby_cluster": {}},
        {"standby_cluster": {"create_replica_methods": ["basebackup"]}},
        {"standby_cluster": None, "slots": {}, "ignore_slots": [], "failsafe_mode": "off"},
    ],
)
def test_a_feature_that_is_off_is_not_mentioned(dynamic: Mapping[str, Any], tmp_path: Path) -> None:
    found = _effective(tmp_path, dynamic)
    assert (found.policy, found.unsupported, found.warnings) == (Policy(), (), ())


@pytest.mark.parametrize("dynamic", [{"synchronous_mode": "quorumm"}, {"standby_cluster": "x"}, {"standby_cluster": {"host": []}}])
def test_a_node_that_cannot_read_whether_it_may_lead_does_not_stand_for_election(dynamic: Mapping[str, Any], tmp_path: Path) -> None:
    assert _effective(tmp_path, dynamic).policy.refuses_election is not None


def test_the_local_value_replaces_the_dynamic_one_wholesale(tmp_path: Path) -> None:
    dynamic = {"postgresql": {"callbacks": {"on_start": "/d", "on_stop": "/d"}, "pg_hba": ["dynamic"], "pg_ctl_timeout": 5}}
    found = _effective(tmp_path, dynamic, {"postgresql.callbacks": {"on_start": "/l"}, "postgresql.pg_hba": ["local"]}).postgres
    assert (found.callbacks.on_start, found.callbacks.on_stop, found.pg_hba, found.pg_ctl_timeout_s) == ("/l", None, ("local",), 5.0)


def test_a_local_value_wins_under_whichever_name_it_has(tmp_path: Path) -> None:
    dynamic = {"postgresql": {"create_replica_methods": ["dynamic"]}}
    local = {"postgresql.create_replica_method": ["basebackup"]}
    assert _effective(tmp_path, dynamic, local).postgres.create_replica_methods == ("basebackup",)


def test_parameters_are_merged_one_by_one_without_regard_to_case(tmp_path: Path) -> None:
    dynamic = {"postgresql": {"parameters": {"Work_Mem": "1MB", "fsync": True, "jit": "off", "a.B": 1.5}}}
    local = {"postgresql.parameters": {"work_mem": "2MB", "JIT": None}}
    assert _effective(tmp_path, dynamic, local).postgres.parameters == {"work_mem": "2MB", "fsync": "on", "a.b": "1.5"}


def test_one_wrong_parameter_takes_no_other_away(tmp_path: Path) -> None:
    found = _effective(tmp_path, {"postgresql": {"parameters": {"work_mem": [], "fsync": "off", "x y": 1}}})
    assert found.postgres.parameters == {"fsync": "off"}
    assert len(found.warnings) == 2


@pytest.mark.parametrize("key", ["listen", "connect_address", "proxy_address", "data_dir", "config_dir", "pgpass", "authentication"])
def test_what_only_the_local_file_may_say_is_ignored_elsewhere(key: str, tmp_path: Path) -> None:
    found = _effective(tmp_path, {"postgresql": {key: "x"}})
    assert found.postgres == _effective(tmp_path, None).postgres
    assert any(f"postgresql.{key}" in warning for warning in found.warnings)


def test_use_slots_of_the_local_file_is_ignored(tmp_path: Path) -> None:
    assert _effective(tmp_path, None, {"postgresql.use_slots": False}).policy.use_slots is True


def test_controlled_parameters_come_from_the_dynamic_configuration_alone(tmp_path: Path) -> None:
    dynamic = {"postgresql": {"parameters": {"max_connections": 300, "port": 1}}}
    found = _effective(tmp_path, dynamic, {"postgresql.parameters": {"max_connections": 50, "wal_level": "logical", "work_mem": "1MB"}})
    assert found.postgres.parameters == {"work_mem": "1MB"}
    controlled = found.postgres.controlled_parameters
    assert (controlled["max_connections"], controlled["wal_level"]) == ("300", "replica")
    assert (controlled["listen_addresses"], controlled["port"], controlled["cluster_name"]) == ("127.0.0.1", "5432", "main")
    assert len(found.warnings) == 3


def test_recovery_settings_move_to_their_own_section(tmp_path: Path) -> None:
    parameters = {"restore_command": "cp", "recovery_min_apply_delay": "5s", "primary_conninfo": "host=x", "recovery_target_time": "now"}
    dynamic = {"postgresql": {"parameters": parameters, "recovery_conf": {"restore_command": "mv", "recovery_target": "immediate"}}}
    found = _effective(tmp_path, dynamic)
    assert found.postgres.parameters == {}
    assert found.postgres.recovery_conf == {"restore_command": "mv", "recovery_min_apply_delay": "5s"}
    assert len(found.warnings) == 3


@pytest.mark.parametrize(("parameter", "kept"), [("hba_file", (None, ("i",))), ("ident_file", (("h",), None))])
def test_a_file_that_the_server_reads_elsewhere_is_left_alone(parameter: str, kept: tuple[object, object], tmp_path: Path) -> None:
    dynamic = {"postgresql": {"parameters": {parameter: "/etc/x"}, "pg_hba": ["h"], "pg_ident": ["i"]}}
    found = _effective(tmp_path, dynamic).postgres
    assert (found.pg_hba, found.pg_ident) == kept


def test_a_method_without_a_section_is_left_to_a_plugin(tmp_path: Path) -> None:
    found = _effective(tmp_path, {"postgresql": {"create_replica_methods": ["plain", "mine", "basebackup"], "mine": {"command": "/m"}}})
    assert set(found.postgres.methods) == {"mine"}


def test_a_wrong_section_of_a_method_is_said(tmp_path: Path) -> None:
    found = _effective(tmp_path, {"postgresql": {"create_replica_methods": ["mine"], "mine": {"command": []}}})
    assert (dict(found.postgres.methods), len(found.warnings)) == ({}, 1)


NASTY: tuple[object, ...] = (
    None,
    True,
    -1,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "\0",
    "99999999999d",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": []},
    {"a": {"b": 1}},
)
DYNAMIC_NAMES = tuple(name for key in DYNAMIC_KEYS for name in key.names)
POSTGRESQL_NAMES = (*(name for key in SHARED_KEYS for name in key.names), "authentication", "nobody")


@pytest.mark.parametrize("value", NASTY)
def test_nothing_that_another_member_writes_stops_a_node(value: object, tmp_path: Path) -> None:
    local = load_values(changed({}), tmp_path).local
    for name in (*DYNAMIC_NAMES, "unknown"):
        assert isinstance(effective(local, {name: value}), Effective)
    for name in POSTGRESQL_NAMES:
        section = {name: value, "create_replica_methods": ["nobody"]} if "create" not in name else {name: value, "a": value}
        assert isinstance(effective(local, {"postgresql": section}), Effective)
    for name in (*CONTROLLED, "wal_keep_segments", "hba_file", "restore_command"):
        assert isinstance(effective(local, {"postgresql": {"parameters": {name: value}}}), Effective)
    for name in ("ttl", "loop_wait", "retry_timeout"):
        assert isinstance(effective(local, {"hacore": {"ttl": 5, name: value}}), Effective)


def test_an_unknown_dynamic_key_is_said_and_changes_nothing(tmp_path: Path) -> None:
    found = _effective(tmp_path, {"looop_wait": 5})
    assert found.policy == Policy()
    assert found.warnings == ("looop_wait: unknown key; did you mean loop_wait?",)


def test_guard_settings_of_the_local_file_reach_the_policy(tmp_path: Path) -> None:
    found = _effective(tmp_path, None, {"guard": {"margin": 4, "budget": 1.5}})
    assert (found.policy.margin_s, found.policy.budget_s) == (4.0, 1.5)
