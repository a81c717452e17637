from pathlib import Path

import pytest

from hacore.config.environment import known_variables, read

STORES = ("consul", "etcd3", "kubernetes", "raft", "sqlite", "zookeeper")


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("NAME", "n", "name", "n"),
        ("NAMESPACE", "/x", "namespace", "/x"),
        ("SCOPE", "123", "scope", "123"),
        ("THREAD_POOL_SIZE", "7", "thread_pool_size", 7),
        ("RESTAPI_LISTEN", "a:1", "restapi.listen", "a:1"),
        ("RESTAPI_HTTP_EXTRA_HEADERS", "{X-A: b}", "restapi.http_extra_headers", {"X-A": "b"}),
        ("RESTAPI_HTTPS_EXTRA_HEADERS", "X-A: b, X-B: c", "restapi.https_extra_headers", {"X-A": "b", "X-B": "c"}),
        ("RESTAPI_ALLOWLIST", "a, 10.0.0.0/8", "restapi.allowlist", ["a", "10.0.0.0/8"]),
        ("RESTAPI_ALLOWLIST_INCLUDE_MEMBERS", "on", "restapi.allowlist_include_members", True),
        ("RESTAPI_REQUEST_QUEUE_SIZE", "9", "restapi.request_queue_size", 9),
        ("RESTAPI_USERNAME", "u", "restapi.authentication.username", "u"),
        ("RESTAPI_PASSWORD", "p: [", "restapi.authentication.password", "p: ["),
        ("CTL_INSECURE", "yes", "ctl.insecure", True),
        ("CTL_PASSWORD", "p", "ctl.authentication.password", "p"),
        ("CTL_CACERT", "/ca", "ctl.cacert", "/ca"),
        ("POSTGRESQL_DATA_DIR", "/d", "postgresql.data_dir", "/d"),
        ("POSTGRESQL_BIN_DIR", "/b", "postgresql.bin_dir", "/b"),
        ("POSTGRESQL_BIN_PG_CTL", "pgc", "postgresql.bin_name.pg_ctl", "pgc"),
        ("POSTGRESQL_PROXY_ADDRESS", "a:1", "postgresql.proxy_address", "a:1"),
        ("SUPERUSER_SSLMODE", "require", "postgresql.authentication.superuser.sslmode", "require"),
        ("REPLICATION_PASSWORD", "123", "postgresql.authentication.replication.password", "123"),
        ("REWIND_CHANNEL_BINDING", "require", "postgresql.authentication.rewind.channel_binding", "require"),
        ("LOG_LEVEL", "info", "log.level", "info"),
        ("LOG_MODE", "0644", "log.mode", "0644"),
        ("LOG_FORMAT", "%(message)s", "log.format", "%(message)s"),
        ("LOG_FORMAT", "asctime, {message: text}", "log.format", ["asctime", {"message": "text"}]),
        ("LOG_STATIC_FIELDS", "{a: 1}", "log.static_fields", {"a": 1}),
        ("LOG_LOGGERS", "{a: INFO}", "log.loggers", {"a": "INFO"}),
        ("LOG_FILE_SIZE", "1", "log.file_size", 1),
        ("LOG_DEDUPLICATE_HEARTBEAT_LOGS", "true", "log.deduplicate_heartbeat_logs", True),
        ("LOGLEVEL", "debug", "log.level", "debug"),
        ("LOGFORMAT", "%(message)s", "log.format", "%(message)s"),
        ("LOG_DATEFMT", "%H", "log.dateformat", "%H"),
        ("GUARD_MARGIN", "2s", "guard.margin", "2s"),
        ("GUARD_STATE_DIR", "/s", "guard.state_dir", "/s"),
        ("CITUS_GROUP", "1", "citus.group", 1),
        ("ETCD3_HOSTS", "[a:1, b:2]", "etcd3.hosts", ["a:1", "b:2"]),
        ("ETCD3_HOSTS", "- a:1\n- b:2", "etcd3.hosts", ["a:1", "b:2"]),
        ("ETCD3_PASSWORD", "p", "etcd3.password", "p"),
        ("ETCD3_USE_PROXIES", "on", "etcd3.use_proxies", True),
        ("CONSUL_PORT", "8500", "consul.port", 8500),
        ("CONSUL_CHECKS", "", None, None),
        ("KUBERNETES_LABELS", "application: x", "kubernetes.labels", {"application": "x"}),
        ("KUBERNETES_PORTS", "[{port: 5432, name: pg}]", "kubernetes.ports", [{"port": 5432, "name": "pg"}]),
        ("ZOOKEEPER_SET_ACLS", "{'CN=x': [ALL]}", "zookeeper.set_acls", {"CN=x": ["ALL"]}),
        ("RAFT_PARTNER_ADDRS", "a:1,b:2", "raft.partner_addrs", ["a:1", "b:2"]),
        ("SQLITE_PATH", "/x.db", "sqlite.path", "/x.db"),
    ],
)
@pytest.mark.parametrize("prefix", ["PATRONI_", "HACORE_"])
def test_a_variable_sets_its_key(prefix: str, variable: str, text: str, path: str | None, value: object) -> None:
    found = read({prefix + variable: text}, STORES)
    wanted = {} if path is None else {tuple(path.split(".")): value}
    assert (found.values, found.faults) == (wanted, ())


def test_our_own_name_wins_and_the_new_name_wins_over_the_old() -> None:
    environ = {"HACORE_LOGLEVEL": "a", "PATRONI_LOG_LEVEL": "b", "PATRONI_LOGLEVEL": "c"}
    assert read(environ, ()).values == {("log", "level"): "a"}
    assert read({"PATRONI_LOG_LEVEL": "b", "PATRONI_LOGLEVEL": "c"}, ()).values == {("log", "level"): "b"}


@pytest.mark.parametrize(
    ("name", "text"), [("PATRONI_RESTAPI_ALLOWLIST", "[a"), ("PATRONI_LOG_LOGGERS", "{a"), ("HACORE_CTL_INSECURE", "a: b: c")]
)  # fmt: skip
def test_a_variable_that_cannot_be_read_is_named(name: str, text: str) -> None:
    (fault,) = read({name: text}, ()).faults
    assert (fault.file, fault.path) == ("environment", name)


def test_a_misspelt_variable_is_said_with_the_nearest_one() -> None:
    (warning,) = read({"PATRONI_RESTAPI_LISTN": "a:1"}, ()).warnings
    assert (warning.path, warning.suggestion) == ("PATRONI_RESTAPI_LISTN", "PATRONI_RESTAPI_LISTEN")


@pytest.mark.parametrize("name", ["PATRONI_SERVICE_HOST", "HACORE_CONFIGURATION", "PATRONI_X", "PATH", "XPATRONI_NAME"])
def test_variables_of_others_are_left_alone(name: str) -> None:
    found = read({name: "x"}, STORES)
    assert (found.values, found.warnings, found.faults) == ({}, (), ())


def test_every_variable_stands_in_the_reference() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "settings.md").read_text()
    sections = {variable.split("_")[0] for variable in known_variables(())}
    assert [section for section in sorted(sections) if f"_{section}" not in page] == []
