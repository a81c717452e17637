"""Every key of a local file: that it is taken, and that a wrong value is refused at its place."""

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pytest

from hacore.config import effective
from hacore.config.address import HostPort
from hacore.config.settings import BootstrapMethod, ConnectionSettings, Credentials, ToolOption
from tests.unit.config.samples import changed, faults_of, load_values

AUTH: Final = "postgresql.authentication"

TAKEN: Final[list[tuple[str, object, str, object]]] = [
    ("name", "node-2", "name", "node-2"),
    ("name", 7, "name", "7"),
    ("scope", "other", "scope", "other"),
    ("namespace", "//db//prod/", "namespace", "/db/prod"),
    ("thread_pool_size", 8, "name", "node1"),
    ("thread_stack_size", 65536, "name", "node1"),
    ("restapi", {"listen": ":9000", "connect_address": "a:1"}, "restapi.listen", HostPort("*", 9000)),
    ("restapi.connect_address", "10.0.0.1:9000", "restapi.connect_address", HostPort("10.0.0.1", 9000)),
    ("restapi.authentication", {"username": "u", "password": "p"}, "restapi.authentication", Credentials(username="u", password="p")),
    ("restapi.certfile", "/c", "restapi.certfile", "/c"),
    ("restapi.ciphers", "HIGH", "restapi.ciphers", "HIGH"),
    ("restapi.cafile", "/ca", "restapi.cafile", "/ca"),
    ("restapi.keyfile_password", "k", "restapi.keyfile_password", "k"),
    ("restapi.allowlist", ["10.0.0.0/8", "host"], "restapi.allowlist", ("10.0.0.0/8", "host")),
    ("restapi.allowlist_include_members", "on", "restapi.allowlist_include_members", True),
    ("restapi.http_extra_headers", {"X-A": "b"}, "restapi.http_extra_headers", {"X-A": "b"}),
    ("restapi.https_extra_headers", {"X-A": 1}, "restapi.https_extra_headers", {"X-A": "1"}),
    ("restapi.request_queue_size", 64, "restapi.request_queue_size", 64),
    ("restapi.thread_pool_size", 1, "restapi.thread_pool_size", 5),
    ("restapi.server_tokens", "Minimal", "restapi.server_tokens", "minimal"),
    ("log.type", "plain", "log.type", "plain"),
    ("log.level", "warn", "log.level", "WARNING"),
    ("log.traceback_level", "debug", "log.traceback_level", "DEBUG"),
    ("log.format", "%(levelname)-8s %(message)s", "log.format", "%(levelname)-8s %(message)s"),
    ("log.dateformat", "%H:%M", "log.dateformat", "%H:%M"),
    ("log.static_fields", {"app": "db", "n": 1}, "log.static_fields", {"app": "db", "n": 1}),
    ("log.max_queue_size", 10, "log.max_queue_size", 10),
    ("log.dir", "/var/log/x", "log.dir", "/var/log/x"),
    ("log.mode", "0640", "log.mode", 0o640),
    ("log.mode", "0o640", "log.mode", 0o640),
    ("log.file_num", 0, "log.file_num", 0),
    ("log.file_size", "1MB", "log.file_size", 1 << 20),
    ("log.loggers", {"urllib3": "info"}, "log.loggers", {"urllib3": "INFO"}),
    ("log.deduplicate_heartbeat_logs", True, "log.deduplicate_heartbeat_logs", True),
    ("log", {"type": "json", "format": ["asctime", {"message": "text"}]}, "log.format", (("asctime", "asctime"), ("message", "text"))),
    ("log", {"type": "json", "format": "%(levelname)s %(message)s"}, "log.format", (("levelname", "levelname"), ("message", "message"))),
    ("log", {"type": "json", "format": "levelname, message"}, "log.format", (("levelname", "levelname"), ("message", "message"))),
    ("ctl.authentication", {"username": "u", "password": "p"}, "ctl.authentication", Credentials(username="u", password="p")),
    ("ctl.insecure", True, "ctl.insecure", True),
    ("ctl.cacert", "/ca", "ctl.cacert", "/ca"),
    ("ctl.certfile", "/c", "ctl.certfile", "/c"),
    ("ctl.keyfile", "/k", "ctl.keyfile", "/k"),
    ("ctl.keyfile_password", "k", "ctl.keyfile_password", "k"),
    ("tags.nofailover", True, "tags.nofailover", True),
    ("tags.failover_priority", 3, "tags.failover_priority", 3),
    ("tags.failover_priority", 0, "tags.nofailover", True),
    ("tags.clonefrom", True, "tags.clonefrom", True),
    ("tags.noloadbalance", True, "tags.noloadbalance", True),
    ("tags.replicatefrom", "node2", "tags.replicatefrom", "node2"),
    ("tags.nosync", True, "tags.nosync", True),
    ("tags.sync_priority", -1, "tags.nosync", True),
    ("tags.nostream", True, "tags.nostream", True),
    ("tags.zone", "a", "tags.published", (("zone", "a"),)),
    ("tags", {"nofailover": False, "failover_priority": 0}, "tags.may_lead", True),
    ("tags", {"nofailover": True, "failover_priority": 5}, "tags.may_lead", False),
    ("tags", {"nofailover": False}, "tags.published", ()),
    ("tags", {"nofailover": False, "failover_priority": 1}, "tags.published", (("nofailover", False), ("failover_priority", 1))),
    ("tags", {"clonefrom": False, "x": False}, "tags.published", (("x", False),)),
    ("watchdog.mode", False, "watchdog.mode", "off"),
    ("watchdog.mode", "auto", "watchdog.mode", "automatic"),
    ("watchdog.device", "/dev/w", "watchdog.device", "/dev/w"),
    ("watchdog.safety_margin", -1, "watchdog.safety_margin", -1),
    ("watchdog.driver", "testing", "watchdog.driver", "testing"),
    ("guard.margin", "500ms", "guard.margin_s", 0.5),
    ("guard.budget", 1, "guard.budget_s", 1.0),
    ("guard.state_dir", "/var/lib/hacore", "guard.state_dir", "/var/lib/hacore"),
    ("postgresql.listen", "10.0.0.1,[::1]:6432", "postgresql.listen_addresses", ("10.0.0.1", "::1")),
    ("postgresql.listen", "10.0.0.1:6432", "postgresql.port", 6432),
    ("postgresql.connect_address", "db1:6432", "postgresql.connect_address", HostPort("db1", 6432)),
    ("postgresql.proxy_address", "pool", "postgresql.proxy_address", HostPort("pool", 5432)),
    ("postgresql.data_dir", "/data", "postgresql.data_dir", "/data"),
    ("postgresql.config_dir", "/etc/pg", "postgresql.config_dir", "/etc/pg"),
    ("postgresql.pgpass", "/run/pgpass", "postgresql.pgpass", "/run/pgpass"),
    (f"{AUTH}.superuser.username", ..., f"{AUTH}.superuser.username", None),
    (f"{AUTH}.superuser.password", 1234, f"{AUTH}.superuser.password", "1234"),
    (f"{AUTH}.superuser.sslpassword", "s", f"{AUTH}.superuser.sslpassword", "s"),
    (f"{AUTH}.superuser.sslmode", "verify-full", f"{AUTH}.superuser.options", {"sslmode": "verify-full"}),
    (f"{AUTH}.superuser.sslkey", "/k", f"{AUTH}.superuser.options", {"sslkey": "/k"}),
    (f"{AUTH}.superuser.sslcert", "/c", f"{AUTH}.superuser.options", {"sslcert": "/c"}),
    (f"{AUTH}.superuser.sslrootcert", "/r", f"{AUTH}.superuser.options", {"sslrootcert": "/r"}),
    (f"{AUTH}.superuser.sslcrl", "/l", f"{AUTH}.superuser.options", {"sslcrl": "/l"}),
    (f"{AUTH}.superuser.sslcrldir", "/d", f"{AUTH}.superuser.options", {"sslcrldir": "/d"}),
    (f"{AUTH}.superuser.sslnegotiation", "direct", f"{AUTH}.superuser.options", {"sslnegotiation": "direct"}),
    (f"{AUTH}.replication.gssencmode", "prefer", f"{AUTH}.replication.options", {"gssencmode": "prefer"}),
    (f"{AUTH}.replication.channel_binding", "require", f"{AUTH}.replication.options", {"channel_binding": "require"}),
    (
        f"{AUTH}.rewind",
        {"username": "rewinder", "password": "x"},
        f"{AUTH}.rewind",
        ConnectionSettings(username="rewinder", password="x", options={}),
    ),
    ("bootstrap", {"dcs": {"ttl": 40}}, "bootstrap.dcs", {"ttl": 40}),
    ("bootstrap", {"initdb": ["data-checksums"]}, "bootstrap.initdb", (ToolOption(name="data-checksums", value=None),)),
    ("bootstrap", {"initdb": {"encoding": "'UTF8'"}}, "bootstrap.initdb", (ToolOption(name="encoding", value="UTF8"),)),
    ("bootstrap", {"pg_hba": ["local all all trust"]}, "bootstrap.pg_hba", ("local all all trust",)),
    ("bootstrap", {"post_bootstrap": "/bin/a b"}, "bootstrap.post_bootstrap", "/bin/a b"),
    ("bootstrap", {"post_init": "/bin/a"}, "bootstrap.post_bootstrap", "/bin/a"),
    ("bootstrap", {"method": "missing"}, "bootstrap.method", None),
    (
        "bootstrap",
        {
            "method": "mine",
            "mine": {
                "command": "/bin/m",
                "no_params": True,
                "keep_existing_recovery_conf": True,
                "recovery_conf": {"recovery_target": "immediate"},
                "stanza": "main",
            },
        },
        "bootstrap.method",
        BootstrapMethod(
            name="mine",
            command="/bin/m",
            no_params=True,
            keep_existing_recovery_conf=True,
            recovery_conf={"recovery_target": "immediate"},
            options={"stanza": "main"},
        ),
    ),
    ("plugins", {"webhook": {"url": "http://h"}}, "plugins.settings", {"webhook": {"url": "http://h", "retries": 3}}),
    ("listeners", ["plain"], "plugins.listeners", ("plain",)),
    ("routers", "plain", "plugins.routers", ("plain",)),
    ("archive", "plain", "plugins.archive", "plain"),
    ("backup", {"plugin": "plain", "scratch_dir": "/srv/x"}, "plugins.backup.scratch_dir", "/srv/x"),
    ("sqlite.path", "/srv/x.db", "dcs.settings", (("path", "/srv/x.db"), ("token", None))),
]

REFUSED: Final[list[tuple[str, object, str]]] = [
    ("name", "a/b", "name"),
    ("name", "a b", "name"),
    ("name", ..., "name"),
    ("name", [], "name"),
    ("scope", ..., "scope"),
    ("scope", "..", "scope"),
    ("scope", "a\nb", "scope"),
    ("namespace", "", "namespace"),
    ("namespace", "/a b/", "namespace"),
    ("thread_pool_size", 0, "thread_pool_size"),
    ("thread_stack_size", 1, "thread_stack_size"),
    ("restapi", ..., "restapi"),
    ("restapi", "x", "restapi"),
    ("restapi.listen", ..., "restapi.listen"),
    ("restapi.listen", "127.0.0.1", "restapi.listen"),
    ("restapi.listen", "*:8008", "restapi.connect_address"),
    ("restapi.connect_address", "0.0.0.0:8008", "restapi.connect_address"),
    ("restapi.authentication", {"username": "u"}, "restapi.authentication.password"),
    ("restapi.authentication", {"password": "p"}, "restapi.authentication.username"),
    ("restapi.certfile", 1.5, "restapi.certfile"),
    ("restapi.keyfile", "/k", "restapi.keyfile"),
    ("restapi.cafile", [], "restapi.cafile"),
    ("restapi.ciphers", "", "restapi.ciphers"),
    ("restapi.verify_client", "maybe", "restapi.verify_client"),
    ("restapi.verify_client", "required", "restapi.verify_client"),
    ("restapi.allowlist", {}, "restapi.allowlist"),
    ("restapi.allowlist", ["a", []], "restapi.allowlist[1]"),
    ("restapi.allowlist_include_members", "perhaps", "restapi.allowlist_include_members"),
    ("restapi.http_extra_headers", {"X A": "b"}, "restapi.http_extra_headers.X A"),
    ("restapi.http_extra_headers", {"X-A": "b\r\nSet-Cookie: x"}, "restapi.http_extra_headers.X-A"),
    ("restapi.https_extra_headers", ["a"], "restapi.https_extra_headers"),
    ("restapi.request_queue_size", 4097, "restapi.request_queue_size"),
    ("restapi.thread_pool_size", 0, "restapi.thread_pool_size"),
    ("restapi.server_tokens", "none", "restapi.server_tokens"),
    ("log.type", "xml", "log.type"),
    ("log.level", "LOUD", "log.level"),
    ("log.traceback_level", 5, "log.traceback_level"),
    ("log.format", "no field", "log.format"),
    ("log.format", "%(levelname)d", "log.format"),
    ("log.format", "%(message", "log.format"),
    ("log.format", ["message"], "log.format"),
    ("log.dateformat", "", "log.dateformat"),
    ("log.static_fields", [], "log.static_fields"),
    ("log.max_queue_size", 0, "log.max_queue_size"),
    ("log.dir", True, "log.dir"),
    ("log.mode", "0999", "log.mode"),
    ("log.file_num", -1, "log.file_num"),
    ("log.file_size", "big", "log.file_size"),
    ("log.loggers", {"a": "LOUD"}, "log.loggers.a"),
    ("log.deduplicate_heartbeat_logs", "x", "log.deduplicate_heartbeat_logs"),
    ("ctl.insecure", "x", "ctl.insecure"),
    ("ctl.cacert", 1.5, "ctl.cacert"),
    ("tags.nofailover", "x", "tags.nofailover"),
    ("tags.failover_priority", "high", "tags.failover_priority"),
    ("tags.replicatefrom", "", "tags.replicatefrom"),
    ("tags.zone", {"a": 1}, "tags.zone"),
    ("watchdog.mode", "required", "watchdog.mode"),
    ("watchdog.mode", "require", "watchdog.mode"),
    ("watchdog.safety_margin", -2, "watchdog.safety_margin"),
    ("watchdog.driver", "x", "watchdog.driver"),
    ("guard.margin", -1, "guard.margin"),
    ("guard.budget", "soon", "guard.budget"),
    ("postgresql", ..., "postgresql"),
    ("postgresql.listen", "a:1,b:2", "postgresql.listen"),
    ("postgresql.listen", "*:5432", "postgresql.connect_address"),
    ("postgresql.connect_address", "::", "postgresql.connect_address"),
    ("postgresql.proxy_address", "a b", "postgresql.proxy_address"),
    ("postgresql.data_dir", "", "postgresql.data_dir"),
    ("postgresql.config_dir", [], "postgresql.config_dir"),
    (AUTH, ..., AUTH),
    (f"{AUTH}.superuser", ..., f"{AUTH}.superuser"),
    (f"{AUTH}.replication.username", ..., f"{AUTH}.replication.username"),
    (f"{AUTH}.replication.sslmode", "on", f"{AUTH}.replication.sslmode"),
    (f"{AUTH}.rewind", {"password": "x"}, f"{AUTH}.rewind.username"),
    ("postgresql.bin_name", {"psql": "x"}, "postgresql.bin_name.psql"),
    ("postgresql.callbacks", {"on_fire": "x"}, "postgresql.callbacks.on_fire"),
    ("postgresql.callbacks", {"on_start": "'x"}, "postgresql.callbacks.on_start"),
    ("postgresql.create_replica_methods", {}, "postgresql.create_replica_methods"),
    ("postgresql.basebackup", ["pgdata"], "postgresql.basebackup[0]"),
    ("postgresql.basebackup", [{"compress": "gzip"}], "postgresql.basebackup[0]"),
    ("postgresql.basebackup", {"host": "x"}, "postgresql.basebackup.host"),
    ("postgresql.parameters", {"a b": 1}, "postgresql.parameters.a b"),
    ("postgresql.parameters", {"work_mem": []}, "postgresql.parameters.work_mem"),
    ("postgresql.pg_hba", "local all all trust", "postgresql.pg_hba"),
    ("postgresql.pg_hba", ["a\nb"], "postgresql.pg_hba[0]"),
    ("postgresql.pg_ident", [1.5], "postgresql.pg_ident[0]"),
    ("postgresql.recovery_conf", [], "postgresql.recovery_conf"),
    ("postgresql.use_pg_rewind", "x", "postgresql.use_pg_rewind"),
    ("postgresql.use_unix_socket_repl", "x", "postgresql.use_unix_socket_repl"),
    ("postgresql.pg_ctl_timeout", "x", "postgresql.pg_ctl_timeout"),
    ("postgresql.pre_promote", [], "postgresql.pre_promote"),
    ("bootstrap", {"initdb": ["pgdata"]}, "bootstrap.initdb[0]"),
    ("bootstrap", {"initdb": [{"a": 1, "b": 2}]}, "bootstrap.initdb[0]"),
    ("bootstrap", {"pg_hba": "x"}, "bootstrap.pg_hba"),
    ("bootstrap", {"post_bootstrap": "'"}, "bootstrap.post_bootstrap"),
    ("bootstrap", {"method": "m", "m": {"no_params": True}}, "bootstrap.m.command"),
    ("bootstrap", {"method": "m", "m": {"command": "/x", "no_params": "x"}}, "bootstrap.m.no_params"),
    ("bootstrap", {"method": "m", "m": "x"}, "bootstrap.m"),
    ("bootstrap", {"dcs": {"ttl": "soon"}}, "bootstrap.dcs.ttl"),
    ("bootstrap", {"dcs": {"postgresql": {"use_slots": "x"}}}, "bootstrap.dcs.postgresql.use_slots"),
    ("bootstrap", {"dcs": {"hacore": {"ttl": []}}}, "bootstrap.dcs.hacore.ttl"),
    ("plugins", [], "plugins"),
    ("plugins", {"webhook": []}, "plugins.webhook"),
    ("plugins", {"webhook": {"url": "u", "retries": "x"}}, "plugins.webhook.retries"),
    ("plugins", {"nobody": {}}, "plugins.nobody"),
    ("listeners", ["webhook"], "listeners.url"),
    ("listeners", ["nobody"], "listeners"),
    ("backup", {}, "backup.plugin"),
    ("citus", {"group": -1, "database": "d"}, "citus.group"),
    ("citus", {"group": 0}, "citus.database"),
    ("citus", {"group": 0, "database": "d"}, "citus"),
    ("sqlite.path", ..., "sqlite.path"),
    ("sqlite", "x", "sqlite"),
]


@pytest.mark.parametrize(("path", "value", "where", "wanted"), TAKEN)
def test_a_key_reaches_the_settings(path: str, value: object, where: str, wanted: object, tmp_path: Path) -> None:
    local = load_values(changed({path: value}), tmp_path).local
    if where == "plugins.backup.scratch_dir":
        assert local.plugins.backup is not None
        assert local.plugins.backup["scratch_dir"] == wanted
        return
    assert attrgetter(where)(local) == wanted


@pytest.mark.parametrize(("path", "value", "where"), REFUSED)
def test_a_wrong_value_is_refused_at_its_place(path: str, value: object, where: str, tmp_path: Path) -> None:
    faults = faults_of(changed({path: value}), tmp_path)
    assert where in {fault.path for fault in faults}
    assert all(fault.wanted for fault in faults)


TLS: Final[Mapping[str, Any]] = {
    "restapi.certfile": "/c",
    "restapi.keyfile": "/k",
    "restapi.cafile": "/ca",
    "restapi.verify_client": "required",
}


def test_client_certificates_are_asked_for_together_with_a_server_certificate(tmp_path: Path) -> None:
    restapi = load_values(changed(TLS), tmp_path).local.restapi
    assert (restapi.verify_client, restapi.keyfile) == ("required", "/k")
    assert restapi.api_url == "https://127.0.0.1:8008/patroni"


def test_a_relative_directory_is_taken_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_values(changed({"postgresql.data_dir": "data/node1", "guard.state_dir": "state"}), tmp_path)
    assert (loaded.local.postgresql.data_dir, loaded.local.guard.state_dir) == (f"{tmp_path}/data/node1", f"{tmp_path}/state")
    assert [warning.path for warning in loaded.warnings] == ["postgresql.data_dir"]


def test_without_a_certificate_the_server_speaks_plain_http(tmp_path: Path) -> None:
    assert load_values(changed({}), tmp_path).local.restapi.api_url == "http://127.0.0.1:8008/patroni"


def test_the_client_inherits_credentials_and_ca_of_the_server_but_no_certificate(tmp_path: Path) -> None:
    values = changed({**TLS, "restapi.authentication": {"username": "u", "password": "p"}})
    ctl = load_values(values, tmp_path).local.ctl
    assert (ctl.authentication, ctl.cacert, ctl.certfile) == (Credentials(username="u", password="p"), "/ca", None)


def test_what_is_not_set_follows_from_what_is(tmp_path: Path) -> None:
    local = load_values(changed({}), tmp_path).local
    assert local.postgresql.config_dir == local.postgresql.data_dir
    assert local.guard.state_dir == "/var/lib/postgresql/data.hacore"
    assert str(local.postgresql.connect_address) == "127.0.0.1:5432"
    assert local.postgresql.authentication.rewind == local.postgresql.authentication.superuser
    assert local.bootstrap is None


SHARED: Final[list[tuple[str, object, str, object]]] = [
    ("bin_dir", "/usr/lib/pg/bin", "bin_dir", "/usr/lib/pg/bin"),
    ("bin_name", {"postgres": "postgres15"}, "bin_name", {"postgres": "postgres15"}),
    ("config_base_name", "pg", "config_base_name", "pg"),
    ("database", "app", "database", "app"),
    ("krbsrvname", "pg", "krbsrvname", "pg"),
    ("callbacks", {"on_role_change": "/cb a"}, "callbacks.on_role_change", "/cb a"),
    ("callbacks", {"on_stop": None, "on_restart": "/r"}, "callbacks.on_restart", "/r"),
    ("callbacks", {"on_reload": "/l"}, "callbacks.on_reload", "/l"),
    ("create_replica_methods", ["a", "basebackup"], "create_replica_methods", ("a", "basebackup")),
    ("create_replica_method", "a,b", "create_replica_methods", ("a", "b")),
    (
        "basebackup",
        [{"max-rate": "10M"}, "verbose"],
        "basebackup",
        (ToolOption(name="max-rate", value="10M"), ToolOption(name="verbose", value=None)),
    ),
    ("basebackup", {"compress": "server-zstd"}, "basebackup", (ToolOption(name="compress", value="server-zstd"),)),
    ("recovery_conf", {"restore_command": "cp %f %p"}, "recovery_conf", {"restore_command": "cp %f %p"}),
    ("custom_conf", "/etc/my.conf", "custom_conf", "/etc/my.conf"),
    ("parameters", {"Work_Mem": "1MB", "my.Flag": True}, "parameters", {"work_mem": "1MB", "my.flag": "on"}),
    ("pg_hba", ["local all all trust"], "pg_hba", ("local all all trust",)),
    ("pg_ident", ["m a b"], "pg_ident", ("m a b",)),
    ("use_unix_socket", True, "use_unix_socket", True),
    ("pg_ctl_timeout", "2min", "pg_ctl_timeout_s", 120.0),
    ("pre_promote", "/gate", "pre_promote", "/gate"),
    ("before_stop", "/gate", "before_stop", "/gate"),
]


@pytest.mark.parametrize(("key", "value", "where", "wanted"), SHARED)
def test_a_key_of_postgresql_works_in_both_places(key: str, value: object, where: str, wanted: object, tmp_path: Path) -> None:
    plain = {"postgresql.create_replica_methods": ["basebackup"]} if "create_replica" not in key else {}
    locally = load_values(
        changed({f"postgresql.{key}": value, "postgresql.a": {"command": "/a"}, "postgresql.b": {"command": "/b"}} | plain), tmp_path
    )
    assert attrgetter(where)(effective(locally.local, {}).postgres) == wanted
    nothing = load_values(changed({}), tmp_path).local
    assert attrgetter(where)(effective(nothing, {"postgresql": {key: value}}).postgres) == wanted


def test_a_method_has_its_own_section(tmp_path: Path) -> None:
    section = {"command": "/bin/walg restore", "no_leader": True, "keep_data": "on", "no_params": False, "threads": 3}
    local = load_values(changed({"postgresql.create_replica_methods": ["walg"], "postgresql.walg": section}), tmp_path).local
    method = effective(local, None).postgres.methods["walg"]
    assert (method.command, method.no_leader, method.keep_data, method.no_params) == ("/bin/walg restore", True, True, False)
    assert dict(method.options) == {"no_leader": "True", "keep_data": "on", "no_params": "False", "threads": "3"}


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"command": []}, "postgresql.walg.command"),
        ({"command": "/x", "no_leader": "x"}, "postgresql.walg.no_leader"),
        ({"command": "/x", "y": []}, "postgresql.walg.y"),
        ("x", "postgresql.walg"),
    ],
)
def test_a_wrong_section_of_a_method_is_refused(section: object, where: str, tmp_path: Path) -> None:
    faults = faults_of(changed({"postgresql.create_replica_methods": ["walg"], "postgresql.walg": section}), tmp_path)
    assert {fault.path for fault in faults} == {where}
