from pathlib import Path

import pytest
import yaml

from hacore.config import ConfigFaultsError, LoadedConfig, reload
from tests.unit.config.samples import Plugins, changed, load_values


def _reloaded(tmp_path: Path, changes: dict[str, object]) -> tuple[LoadedConfig, LoadedConfig]:
    old = load_values(changed({}), tmp_path)
    path = tmp_path / "node.yml"
    path.write_text(yaml.safe_dump(changed(changes)))
    return old, reload(old, str(path), {}, plugins=Plugins())


def test_new_values_are_taken(tmp_path: Path) -> None:
    _, new = _reloaded(tmp_path, {"log.level": "DEBUG", "tags.nofailover": True, "postgresql.parameters": {"work_mem": "1MB"}})
    assert (new.local.log.level, new.local.tags.nofailover) == ("DEBUG", True)
    assert new.local.postgresql.values["parameters"] == {"work_mem": "1MB"}
    assert new.warnings == ()


@pytest.mark.parametrize("changes", [{"log.level": "LOUD"}, {"name": ...}, {"sqlite": ...}, {"restapi.listen": "x", "log.level": "DEBUG"}])
def test_a_bad_configuration_is_refused_as_a_whole(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigFaultsError):
        _reloaded(tmp_path, changes)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": "other"}, "name"),
        ({"scope": "other"}, "scope"),
        ({"namespace": "/other"}, "namespace"),
        ({"restapi.request_queue_size": 9}, "restapi.request_queue_size"),
        ({"restapi.thread_pool_size": 9}, "restapi.thread_pool_size"),
        ({"postgresql.data_dir": "/other", "guard.state_dir": "/var/lib/postgresql/data.hacore"}, "postgresql.data_dir"),
        ({"postgresql.config_dir": "/other"}, "postgresql.config_dir"),
        ({"postgresql.config_base_name": "other"}, "postgresql.config_base_name"),
        ({"postgresql.pgpass": "/other"}, "postgresql.pgpass"),
        ({"guard.state_dir": "/other"}, "guard.state_dir"),
        ({"sqlite": ..., "etcd3": {"hosts": "a:1"}}, "etcd3"),
        ({"sqlite.token": "x"}, "sqlite"),
    ],
)
def test_what_a_running_node_cannot_change_keeps_its_value_and_that_is_said(changes: dict[str, object], where: str, tmp_path: Path) -> None:
    old, new = _reloaded(tmp_path, changes)
    assert where in {warning.path for warning in new.warnings}
    kept = (new.local.name, new.local.scope, new.local.namespace, new.local.dcs, new.local.guard)
    assert kept == (old.local.name, old.local.scope, old.local.namespace, old.local.dcs, old.local.guard)
    assert new.local.restapi == old.local.restapi
    assert new.local.postgresql.data_dir == old.local.postgresql.data_dir
    assert "config_base_name" not in new.local.postgresql.values
