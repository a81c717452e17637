from pathlib import Path
from typing import Any

import pytest

from hacore.config import Row, explain
from hacore.config.dynamic import CACHE_NAME, last_known
from tests.unit.config.samples import changed, load_values


def _rows(tmp_path: Path, dynamic: dict[str, Any] | None = None, **changes: Any) -> dict[str, Row]:
    loaded = load_values(
        changed({key.replace("__", "."): value for key, value in changes.items()}), tmp_path, {"PATRONI_LOG_LEVEL": "ERROR"}
    )
    return {row.path: row for row in explain(loaded, dynamic)}


def test_every_value_has_its_origin(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"ttl": 40})
    file = tmp_path / "node.yml"
    assert (rows["scope"].value, rows["scope"].origin) == ("main", f"{file}:1")
    assert (rows["log.level"].value, rows["log.level"].origin) == ("ERROR", "environment PATRONI_LOG_LEVEL")
    assert (rows["log.type"].value, rows["log.type"].origin) == ("plain", "default")
    assert (rows["ttl"].value, rows["ttl"].origin) == (40, "dynamic")
    assert (rows["sqlite.path"].origin, rows["loop_wait"].origin) == (f"{file}:6", "default")


def test_secrets_are_hidden(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"postgresql": {"recovery_conf": {"primary_conninfo": "password=hush"}}}, sqlite__token="hush")
    assert rows["sqlite.token"].value == "********"
    assert rows["postgresql.authentication.superuser.password"].value == "********"
    assert "hush" not in str(rows)


def test_what_was_clamped_shows_the_value_that_is_used(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"ttl": 5, "hacore": {"ttl": 5}})
    assert (rows["ttl"].value, rows["ttl"].origin) == (20.0, "dynamic, adjusted")
    assert (rows["loop_wait"].value, rows["loop_wait"].origin) == (1.0, "default, adjusted")
    assert (rows["hacore.loop_wait"].value, rows["hacore.loop_wait"].origin) == (1.0, "default")
    assert (rows["guard.margin"].value, rows["guard.budget"].value) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("parameters", "name", "value", "origin"),
    [
        ({"max_connections": 5}, "max_connections", "100", "dynamic, adjusted"),
        ({"max_connections": 200}, "max_connections", 200, "dynamic"),
        ({"port": 9999}, "port", 5432, "default"),
        ({"wal_level": "minimal"}, "wal_level", "replica", "dynamic, adjusted"),
        ({"wal_log_hints": True}, "wal_log_hints", True, "dynamic"),
        ({"wal_keep_segments": 64}, "wal_keep_size", "1024MB", "dynamic, adjusted"),
        ({"wal_keep_size": "1GB", "wal_keep_segments": 64}, "wal_keep_size", "1024MB", "dynamic, adjusted"),
    ],
)
def test_a_parameter_that_is_the_same_everywhere_is_shown_as_the_server_gets_it(
    parameters: dict[str, object], name: str, value: object, origin: str, tmp_path: Path
) -> None:
    rows = _rows(tmp_path, {"postgresql": {"parameters": parameters}})
    shown = rows[f"postgresql.parameters.{name}"]
    assert (shown.value, shown.origin) == (value, origin)
    assert "postgresql.parameters.wal_keep_segments" not in rows


def test_a_key_under_its_older_name_is_shown_under_the_one_that_counts(tmp_path: Path) -> None:
    dynamic = {
        "master_start_timeout": 77,
        "permanent_slots": {"a": {}},
        "slots": {"b": {}},
        "postgresql": {"create_replica_methods": ["x"]},
    }
    rows = _rows(tmp_path, dynamic, postgresql__create_replica_method=["basebackup"])
    assert (rows["primary_start_timeout"].value, rows["primary_start_timeout"].origin) == (77, "dynamic")
    methods = rows["postgresql.create_replica_methods"]
    assert (methods.value, methods.origin) == (["basebackup"], f"{tmp_path / 'node.yml'}:17")
    assert [path for path in rows if path.startswith(("slots", "permanent"))] == ["slots.a"]
    assert not {"master_start_timeout", "postgresql.create_replica_method"} & rows.keys()


def test_a_value_below_its_least_is_shown_as_it_is_used(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"synchronous_node_count": 0, "retry_timeout": "5s", "hacore": {"loop_wait": 1, "backup": {"max_duration": 0}}})
    assert (rows["synchronous_node_count"].value, rows["synchronous_node_count"].origin) == (1, "dynamic, adjusted")
    assert (rows["retry_timeout"].value, rows["retry_timeout"].origin) == ("5s", "dynamic")
    assert rows["hacore.backup.max_duration"].value == 1.0
    assert rows["hacore.loop_wait"].value is None  # it counts only beside a ttl


def test_a_parameter_that_the_file_takes_away_is_not_shown(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"postgresql": {"parameters": {"work_mem": "1MB", "jit": "off"}}}, postgresql__parameters={"work_mem": None})
    assert "postgresql.parameters.jit" in rows
    assert "postgresql.parameters.work_mem" not in rows


def test_what_counts_before_the_store_has_said_anything_has_its_own_origin(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    changes = {"postgresql.data_dir": str(data), "bootstrap": {"dcs": {"ttl": 60, "postgresql": {"parameters": {"max_connections": 500}}}}}
    loaded = load_values(changed(changes), tmp_path)

    def shown(path: str) -> tuple[object, str]:
        dynamic, origin = last_known(loaded.local)
        return next((row.value, row.origin) for row in explain(loaded, dynamic, origin=origin) if row.path == path)

    assert shown("ttl") == (60, "bootstrap.dcs")
    assert shown("postgresql.parameters.max_connections") == (500, "bootstrap.dcs")
    (data / CACHE_NAME).write_text('{"ttl": 50}')
    assert shown("ttl") == (50, str(data / CACHE_NAME))
    assert shown("postgresql.parameters.max_connections") == ("100", "default")


def test_local_values_stand_over_dynamic_ones_as_they_do_in_force(tmp_path: Path) -> None:
    dynamic = {
        "postgresql": {
            "callbacks": {"on_start": "/d", "on_stop": "/d"},
            "parameters": {"Work_Mem": "1MB", "jit": "off", "max_connections": 200},
            "data_dir": "/other",
            "pg_hba": ["dynamic"],
        }
    }
    local = {"callbacks": {"on_start": "/l"}, "parameters": {"work_mem": "2MB", "max_connections": 5}, "use_slots": False}
    rows = _rows(tmp_path, dynamic, **{f"postgresql__{key}": value for key, value in local.items()})
    file = tmp_path / "node.yml"
    assert rows["postgresql.callbacks.on_start"].origin.startswith(str(file))
    assert "postgresql.callbacks.on_stop" not in rows
    assert rows["postgresql.parameters.work_mem"].value == "2MB"
    assert (rows["postgresql.parameters.jit"].origin, rows["postgresql.pg_hba"].origin) == ("dynamic", "dynamic")
    assert (rows["postgresql.parameters.max_connections"].value, rows["postgresql.parameters.wal_level"].value) == (200, "replica")
    assert rows["postgresql.data_dir"].origin.startswith(str(file))
    assert (rows["postgresql.use_slots"].value, rows["postgresql.use_slots"].origin) == (True, "default")


def test_defaults_that_follow_from_other_values_are_shown_as_they_are(tmp_path: Path) -> None:
    rows = _rows(tmp_path)
    assert rows["guard.state_dir"].value == "/var/lib/postgresql/data.hacore"
    assert rows["postgresql.config_dir"].value == "/var/lib/postgresql/data"
    assert rows["restapi.connect_address"].value == "127.0.0.1:8008"
    assert rows["postgresql.parameters.cluster_name"].value == "main"


def test_bootstrap_is_shown_as_it_is_written(tmp_path: Path) -> None:
    rows = _rows(tmp_path, bootstrap={"dcs": {"ttl": 40}})
    assert rows["bootstrap.dcs.ttl"].value == 40
    assert "bootstrap.dcs.loop_wait" not in rows


def test_no_row_is_inside_another(tmp_path: Path) -> None:
    rows = _rows(tmp_path, {"slots": {"a": {"type": "physical"}}, "standby_cluster": {}})
    assert [path for path in rows for other in rows if other.startswith(f"{path}.")] == []


def test_origins_are_there_for_every_local_value(tmp_path: Path) -> None:
    found = {row.path: row.origin for row in explain(load_values(changed({}), tmp_path), None)}
    assert found["postgresql.data_dir"].endswith(":9")
    assert found["tags.nofailover"] == "default"
