from pathlib import Path
from typing import Any

from hacore.config import Row, explain
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
    found = load_values(changed({}), tmp_path).origins
    assert found["postgresql.data_dir"].endswith(":9")
    assert found["tags.nofailover"] == "default"
