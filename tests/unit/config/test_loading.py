import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from hacore.config import ConfigFaultsError, load
from hacore.config.stores import OF_THE_FIELD
from hacore.errors import ConfigError
from tests.unit.config.samples import SAMPLE, Plugins, changed, faults_of, load_text, load_values


def test_all_faults_are_said_at_once_each_with_file_and_line(tmp_path: Path) -> None:
    text = """scope: main
name: a/b
restapi:
  listen: nowhere
  listen: 127.0.0.1:8008
log: {level: LOUD}
sqlite: {path: /x}
postgresql:
  listen: 127.0.0.1:5432
  data_dir: []
  authentication:
    superuser: {}
    replication: {password: hush}
"""
    with pytest.raises(ConfigError) as caught:
        load_text(text, tmp_path)
    assert isinstance(caught.value, ConfigFaultsError)
    file = str(tmp_path / "node.yml")
    assert [(fault.file, fault.line, fault.path) for fault in caught.value.faults] == [
        (file, 2, "name"),
        (file, 5, "restapi.listen"),
        (file, 6, "log.level"),
        (file, 10, "postgresql.data_dir"),
        (file, 13, "postgresql.authentication.replication.username"),
    ]
    assert str(caught.value).splitlines()[0] == f"{file}:2: name: found 'a/b', wanted a name without slashes, blanks and control characters"


def test_a_fault_never_shows_a_secret(tmp_path: Path) -> None:
    values = changed(
        {
            "postgresql.authentication.superuser.password": {"hush": "hush"},
            "restapi.authentication": {"username": "u", "password": ["hush"]},
            "sqlite.token": ["hush"],
            "name": "host=a password=hush/",
            "postgresql.proxy_address": "http://u:hush@h/",
        }
    )
    text = "\n".join(map(str, faults_of(values, tmp_path)))
    assert "proxy_address" in text
    assert "hush" not in text


def test_settings_never_show_a_secret(tmp_path: Path) -> None:
    values = changed(
        {
            "restapi.authentication": {"username": "u", "password": "hush-rest"},
            "restapi.certfile": "/c",
            "restapi.keyfile_password": "hush-key",
            "ctl.keyfile_password": "hush-ctl",
            "sqlite.token": "hush-token",
            "postgresql.authentication.superuser.sslpassword": "hush-ssl",
            "postgresql.create_replica_methods": ["m"],
            "postgresql.m": {"command": "/m", "secret": "hush-method"},
            "bootstrap": {"method": "b", "b": {"command": "/b", "token": "hush-bootstrap"}},
            "plugins": {"webhook": {"url": "hush-url"}},
        }
    )
    assert "hush" not in repr(load_values(values, tmp_path))


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("restapi.listn", "listen"),
        ("postgresql.data_dri", "data_dir"),
        ("postgresql.use_pg_rewnd", "use_pg_rewind"),
        ("postgresql.authentication.superuser.passwrd", "password"),
        ("log.levl", "level"),
        ("gaurd", "guard"),
        ("sqlite.pth", "path"),
        ("bootstrap.dcs.loop_wiat", "loop_wait"),
        ("bootstrap.dcs.postgresql.use_slot", "use_slots"),
        ("bootstrap.dcs.hacore.ttll", "ttl"),
        ("postgresql.zzz", None),
    ],
)
def test_an_unknown_key_warns_with_the_nearest_known_one(key: str, suggestion: str | None, tmp_path: Path) -> None:
    (warning,) = load_values(changed({key: "1"}), tmp_path).warnings
    assert (warning.path, warning.suggestion) == (key, suggestion)
    assert warning.line is not None


def test_a_misspelt_key_is_said_beside_the_one_that_is_missing(tmp_path: Path) -> None:
    faults = faults_of(changed({"postgresql.data_dir": ..., "postgresql.data_dri": "/x", "sqlite": ..., "sqlit": {"path": "/x"}}), tmp_path)
    found = {(fault.path, fault.suggestion) for fault in faults}
    assert found == {("", None), ("sqlit", "sqlite"), ("postgresql.data_dir", None), ("postgresql.data_dri", "data_dir")}


def test_unknown_keys_are_faults_when_it_is_strict(tmp_path: Path) -> None:
    faults = faults_of(changed({"restapi.listn": 1, "sqlite.pth": 1}), tmp_path, strict=True)
    assert {fault.path for fault in faults} == {"restapi.listn", "sqlite.pth"}


def test_a_right_configuration_has_no_warnings_even_when_it_is_strict(tmp_path: Path) -> None:
    assert load_values(SAMPLE, tmp_path, strict=True).warnings == ()


@pytest.mark.parametrize(
    ("changes", "where", "part"),
    [
        ({"sqlite": ...}, "", "write etcd3: or sqlite:"),
        ({"sqlite": ..., "sqlit": {"path": "/x"}}, "sqlit", "did you mean sqlite?"),
        ({"etcd3": {"hosts": "a:1"}}, "etcd3", "sqlite and etcd3 both name one"),
        ({"sqlite": ..., "etcd": {"host": "a:1"}}, "etcd", "write etcd3:"),
        ({"etcd": {"host": "a:1"}}, "etcd", "write etcd3:"),
        ({"sqlite": ..., "consul": {"host": "a:1"}}, "consul", "hacore-dcs-consul"),
        ({"sqlite": ..., "kubernetes": {"labels": {}}}, "kubernetes", "no plugin for the store"),
    ],
)
def test_exactly_one_installed_store_is_named(changes: Mapping[str, object], where: str, part: str, tmp_path: Path) -> None:
    faults = [fault for fault in faults_of(changed(changes), tmp_path) if fault.path == where]
    assert part in str(faults[-1])


@pytest.mark.parametrize("store", sorted({*OF_THE_FIELD} - {"etcd", "etcd3"}))
def test_a_store_of_the_field_without_a_plugin_is_an_error_not_an_unknown_key(store: str, tmp_path: Path) -> None:
    faults = faults_of(changed({"sqlite": ..., store: {}}), tmp_path, strict=True)
    assert [fault.path for fault in faults] == [store]


def test_the_store_is_given_its_section_as_its_own_schema_made_it(tmp_path: Path) -> None:
    local = load_values(changed({"sqlite": ..., "etcd3": {"hosts": "a:1,b:2"}}), tmp_path).local
    assert local.dcs.name == "etcd3"
    assert local.dcs.section == {"hosts": "a:1,b:2"}
    assert local.dcs.settings == {"hosts": ("a:1", "b:2"), "username": None, "password": None}


def test_without_schemas_of_plugins_the_section_of_the_store_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "node.yml"
    path.write_text(str(changed({"sqlite.anything": 1})))
    assert load(str(path), {}).local.dcs.settings == {"path": "/var/lib/hacore/store.db", "anything": 1}


def test_a_plugin_without_settings_reports_keys_as_unknown(tmp_path: Path) -> None:
    (warning,) = load_values(changed({"plugins.plain.x": 1, "listeners": ["plain"]}), tmp_path).warnings
    assert warning.path == "plugins.plain.x"


@pytest.mark.parametrize(
    ("changes", "where", "part"),
    [
        ({"synchronous_mode": True}, "synchronous_mode", "does not work yet"),
        ({"synchronous_mode": "quorum"}, "synchronous_mode", "does not work yet"),
        ({"failsafe_mode": True}, "failsafe_mode", "does not work yet"),
        ({"slots": {"a": {"type": "physical"}}}, "slots", "does not work yet"),
        ({"permanent_slots": {"a": None}}, "permanent_slots", "does not work yet"),
        ({"ignore_slots": [{"name": "a"}]}, "ignore_slots", "does not work yet"),
        ({"citus": {"group": 0, "database": "d"}}, "citus", "does not work yet"),
    ],
)
def test_a_feature_that_does_not_work_yet_is_an_error_in_the_local_file(
    changes: Mapping[str, object], where: str, part: str, tmp_path: Path
) -> None:  # fmt: skip
    assert any(fault.path == where and part in str(fault) for fault in faults_of(changed(changes), tmp_path))


@pytest.mark.parametrize(
    ("changes", "where", "part"),
    [
        ({"ttl": 40}, "ttl", "dynamic configuration"),
        ({"hacore": {"ttl": 5}}, "hacore", "dynamic configuration"),
        ({"standby_cluster": {"host": "a"}}, "standby_cluster", "dynamic configuration"),
        ({"synchronous_mode": False}, "synchronous_mode", "dynamic configuration"),
        ({"postgresql.use_slots": False}, "postgresql.use_slots", "dynamic configuration"),
        ({"postgresql.parameters": {"Max_Connections": 5}}, "postgresql.parameters.Max_Connections", "dynamic configuration"),
        ({"postgresql.parameters": {"port": 5}}, "postgresql.parameters.port", "follows from listen"),
        ({"tags": {"nofailover": False, "failover_priority": 1}}, "tags.failover_priority", "wins"),
        ({"tags": {"nosync": False, "sync_priority": 1}}, "tags.sync_priority", "wins"),
        ({"bootstrap": {"users": {}}}, "bootstrap.users", "does nothing"),
        ({"bootstrap": {"method": "gone"}}, "bootstrap.method", "no section gone"),
        ({"bootstrap": {"dcs": {"synchronous_mode": True}}}, "bootstrap.dcs.synchronous_mode", "does not work yet"),
        ({"thread_pool_size": 7}, "thread_pool_size", "without effect"),
        ({"postgresql.use_unix_socket_repl": True}, "postgresql.use_unix_socket_repl", "without effect"),
        ({"sqlite.path": "here"}, "sqlite.path", "here is not the same everywhere"),
    ],
)
def test_what_will_surprise_is_said(changes: Mapping[str, object], where: str, part: str, tmp_path: Path) -> None:
    warnings = load_values(changed(changes), tmp_path).warnings
    assert any(warning.path == where and part in str(warning) for warning in warnings)


def test_connections_at_their_old_place_are_taken_and_said(tmp_path: Path) -> None:
    old = changed(
        {"postgresql.authentication": ..., "postgresql.superuser": {"username": "s"}, "postgresql.replication": {"username": "r"}}
    )
    loaded = load_values(old, tmp_path)
    authentication = loaded.local.postgresql.authentication
    assert (authentication.superuser.username, authentication.replication.username) == ("s", "r")
    assert {warning.path for warning in loaded.warnings} == {"postgresql.superuser", "postgresql.replication"}


def test_a_fault_in_the_old_layout_names_the_line_where_it_stands(tmp_path: Path) -> None:
    old = changed({"postgresql.authentication.superuser": ..., "postgresql.pg_rewind": {"sslmode": "loud"}})
    (fault,) = faults_of(old, tmp_path)
    assert (fault.path, fault.line is not None) == ("postgresql.authentication.superuser.sslmode", True)


def test_a_value_of_null_counts_as_not_there(tmp_path: Path) -> None:
    local = load_values(changed({"log.level": None, "tags": None, "restapi.authentication": None}), tmp_path).local
    assert (local.log.level, local.restapi.authentication) == ("INFO", None)


def test_anchors_and_merges_work_as_in_any_yaml(tmp_path: Path) -> None:
    text = """scope: main
name: n
restapi: {listen: '127.0.0.1:8008'}
sqlite: {path: /x}
postgresql:
  listen: 127.0.0.1:5432
  data_dir: /data
  authentication:
    superuser: &tls {sslmode: require, username: s}
    replication: {<<: *tls, username: r}
"""
    authentication = load_text(text, tmp_path).local.postgresql.authentication
    assert (authentication.replication.username, authentication.replication.options) == ("r", {"sslmode": "require"})


def test_what_was_loaded_can_be_sent_from_a_child_process(tmp_path: Path) -> None:
    loaded = load_values(changed({"listeners": ["plain"]}), tmp_path)
    assert pickle.loads(pickle.dumps(loaded)) == loaded  # noqa: S301 - our own


def test_faults_can_be_sent_from_a_child_process(tmp_path: Path) -> None:
    error = ConfigFaultsError(faults_of(changed({"name": "a/b"}), tmp_path))
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (sent.faults, str(sent)) == (error.faults, str(error))


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaultsError, match="No such file"):
        load(str(tmp_path / "missing.yml"), {}, plugins=Plugins())


def test_an_empty_file_names_everything_that_is_required(tmp_path: Path) -> None:
    assert {"name", "scope", "restapi", "postgresql", ""} == {fault.path for fault in faults_of({}, tmp_path)}
