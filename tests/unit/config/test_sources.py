from pathlib import Path

import pytest
import yaml

from hacore.config import ConfigFaultsError, LoadedConfig, explain, load
from hacore.config.sources import gather, read_path
from tests.unit.config.samples import SAMPLE, Plugins, changed


def origins(loaded: LoadedConfig) -> dict[str, str]:
    return {row.path: row.origin for row in explain(loaded, None)}


def test_files_of_a_directory_are_merged_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "20-b.yml").write_text("a: {x: 2, y: null}\nc: 3\nl: [2]\n")
    (tmp_path / "10-a.yaml").write_text("a: {x: 1, y: 1, z: 1}\nb: 1\nl: [1]\n")
    (tmp_path / "30-c.txt").write_text("b: 9\n")
    document = read_path(str(tmp_path))
    assert document.values == {"a": {"x": 2, "z": 1}, "b": 1, "l": [2], "c": 3}
    assert str(document.places["a", "x"]) == f"{tmp_path}/20-b.yml:1"
    assert str(document.places["a", "z"]) == f"{tmp_path}/10-a.yaml:1"
    assert ("a", "y") not in document.places


def test_null_removes_a_whole_section(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text("a: {x: 1}\nb: 1\n")
    (tmp_path / "2.yml").write_text("a: null\n")
    document = read_path(str(tmp_path))
    assert document.values == {"b": 1}
    assert all(path[:1] != ("a",) for path in document.places)


def test_every_broken_file_of_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text("a: [\n")
    (tmp_path / "2.yml").write_text("a:\n\tb: 1\n")
    (tmp_path / "3.yml").write_bytes(b"\xff")
    with pytest.raises(ConfigFaultsError) as caught:
        read_path(str(tmp_path))
    assert [Path(fault.file or "").name for fault in caught.value.faults] == ["1.yml", "2.yml", "3.yml"]


def test_a_directory_without_configuration_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaultsError, match=r"\.yml"):
        read_path(str(tmp_path))


def test_a_file_over_one_mebibyte_is_not_even_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigFaultsError, match="1 MiB"):
        read_path(str(tmp_path / "a.yml"))


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.yml"
    path.write_text(yaml.safe_dump(dict(SAMPLE)))
    environ = {"PATRONI_NAME": "from-field", "HACORE_NAME": "from-own", "PATRONI_SUPERUSER_PASSWORD": "other", "PATRONI_SCOPE": ""}
    loaded = load(str(path), environ, plugins=Plugins())
    assert (loaded.local.name, loaded.local.scope) == ("from-own", "main")
    assert loaded.local.postgresql.authentication.superuser.password == "other"
    assert loaded.local.postgresql.authentication.superuser.username == "postgres"
    found = origins(loaded)
    assert found["name"] == "environment HACORE_NAME"
    assert found["postgresql.authentication.superuser.password"] == "environment PATRONI_SUPERUSER_PASSWORD"


def test_without_a_file_the_environment_may_say_everything() -> None:
    environ = {
        "PATRONI_NAME": "n",
        "PATRONI_SCOPE": "s",
        "PATRONI_RESTAPI_LISTEN": "127.0.0.1:1",
        "PATRONI_POSTGRESQL_LISTEN": "127.0.0.1:2",
        "PATRONI_POSTGRESQL_DATA_DIR": "/d",
        "PATRONI_REPLICATION_USERNAME": "r",
        "PATRONI_SUPERUSER_USERNAME": "s",
        "PATRONI_ETCD3_HOSTS": "'a:1','b:2'",
    }
    local = load(None, environ, plugins=Plugins()).local
    assert (local.name, local.dcs.section) == ("n", {"hosts": ["a:1", "b:2"]})


def test_one_variable_may_hold_the_whole_configuration_and_then_no_other_counts() -> None:
    environ = {"PATRONI_CONFIGURATION": yaml.safe_dump(dict(SAMPLE)), "PATRONI_NAME": "ignored", "HACORE_NAME": "ignored"}
    loaded = load(None, environ, plugins=Plugins())
    assert loaded.local.name == "node1"
    assert origins(loaded)["name"].startswith("environment PATRONI_CONFIGURATION:")


def test_our_own_variable_wins_over_that_of_the_field() -> None:
    environ = {
        "PATRONI_CONFIGURATION": "name: x",
        "HACORE_CONFIGURATION": yaml.safe_dump(changed({"name": "own"})),
    }
    assert load(None, environ, plugins=Plugins()).local.name == "own"


def test_a_file_wins_over_the_variable_that_holds_a_whole_configuration(tmp_path: Path) -> None:
    path = tmp_path / "node.yml"
    path.write_text(yaml.safe_dump(dict(SAMPLE)))
    assert load(str(path), {"PATRONI_CONFIGURATION": "name: x"}, plugins=Plugins()).local.name == "node1"


def test_no_configuration_at_all_says_where_one_may_come_from() -> None:
    with pytest.raises(ConfigFaultsError, match="PATRONI_CONFIGURATION"):
        load(None, {"PATH": "/bin"}, plugins=Plugins())


def test_a_variable_below_a_value_that_is_no_section_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "node.yml"
    path.write_text("log: loud\n")
    document = gather(str(path), {"PATRONI_LOG_LEVEL": "INFO"}, ()).document
    assert "log to be a mapping" in str(document.faults[0])
