from dataclasses import replace

from hacore.model.node import Upstream
from hacore.postgres.conninfo import parse_conninfo
from hacore.postgres.parameters import make_plan, recovery_settings, with_retry_interval
from hacore.postgres.programs import KnownParameter
from tests.unit.postgres.samples import connection, settings

SAMPLE = settings("/data/a")
UPSTREAM = Upstream(member="b", host="10.0.0.2", port=5433, slot="a")


def known(*names: str) -> dict[str, KnownParameter]:
    numbers = {"work_mem": (64.0, 2147483647.0), "max_connections": (1.0, 262143.0)}
    found = {}
    for name in (*names, *SAMPLE.parameters, *SAMPLE.controlled_parameters, "primary_conninfo", "primary_slot_name"):
        low, high = numbers.get(name, (None, None))
        kind = "INTEGER" if name in numbers else "BOOLEAN" if name == "fsync" else "STRING"
        found[name] = KnownParameter(name=name, kind=kind, context="POSTMASTER", minimum=low, maximum=high)
    return found


def test_controlled_settings_are_on_the_command_line_and_wal_keep_size_is_not() -> None:
    plan = make_plan(SAMPLE, known=known(), recovery={})
    assert "--max_connections=50" in plan.command_line
    assert "--port=5432" in plan.command_line
    assert not [word for word in plan.command_line if "wal_keep" in word or "fsync" in word]
    assert plan.normal["wal_keep_size"] == "128MB"


def test_a_setting_that_the_version_does_not_know_is_dropped_and_said_unless_it_is_an_extensions() -> None:
    sample = replace(SAMPLE, parameters={"no_such": "1", "my.own": "2"})
    plan = make_plan(sample, known=known(), recovery={})
    assert "no_such" not in plan.normal
    assert plan.normal["my.own"] == "2"
    assert [warning for warning in plan.warnings if "no_such" in warning]


def test_values_that_the_server_would_refuse_are_corrected_or_dropped() -> None:
    sample = replace(SAMPLE, parameters={"work_mem": "1", "fsync": "perhaps"})
    plan = make_plan(sample, known=known("work_mem"), recovery={})
    assert plan.normal["work_mem"] == "64"
    assert "fsync" not in plan.normal
    assert len(plan.warnings) == 2


def test_recovery_settings_among_the_parameters_move_to_the_recovery_section() -> None:
    sample = replace(SAMPLE, parameters={"restore_command": "cp"})
    plan = make_plan(sample, known=known("restore_command"), recovery={})
    assert "restore_command" not in plan.normal
    assert plan.recovery["restore_command"] == "cp"


def test_a_standby_runs_with_at_least_what_its_primary_has() -> None:
    plan = make_plan(SAMPLE, known=known(), recovery={}, limits={"max_connections": 80, "max_wal_senders": 5})
    assert "--max_connections=80" in plan.command_line
    assert plan.clamped == (("max_connections", "80", "50"),)


def test_the_connection_to_the_upstream_names_the_member_and_holds_no_password() -> None:
    values = recovery_settings(SAMPLE, UPSTREAM, major=15, passfile="/home/pg pass")
    conninfo = parse_conninfo(values["primary_conninfo"])
    assert conninfo == {
        "host": "10.0.0.2",
        "port": "5433",
        "user": "replicator",
        "sslmode": "prefer",
        "passfile": "/home/pg pass",
        "application_name": "a",
        "dbname": "postgres",
    }
    assert "secret" not in values["primary_conninfo"]
    assert (values["primary_slot_name"], values["recovery_target_timeline"]) == ("a", "latest")


def test_keywords_that_the_servers_libpq_does_not_know_are_left_out() -> None:
    replication = connection("r", None, sslmode="verify-full", sslnegotiation="direct")
    sample = replace(SAMPLE, authentication=replace(SAMPLE.authentication, replication=replication))
    old = parse_conninfo(recovery_settings(sample, UPSTREAM, major=16, passfile="x")["primary_conninfo"])
    assert old["sslmode"] == "verify-full"
    assert "sslnegotiation" not in old
    assert "passfile" not in old
    assert "sslnegotiation" in recovery_settings(sample, UPSTREAM, major=17, passfile="x")["primary_conninfo"]


def test_a_standby_looks_for_its_next_primary_often_unless_a_person_has_set_how_often() -> None:
    assert with_retry_interval(SAMPLE, {}) == {"wal_retrieve_retry_interval": "500ms"}
    assert with_retry_interval(SAMPLE, {"wal_retrieve_retry_interval": "3s"}) == {}
    assert with_retry_interval(replace(SAMPLE, recovery_conf={"restore_command": "cp"}), {}) == {}


def test_a_standby_without_upstream_has_none() -> None:
    values = recovery_settings(SAMPLE, Upstream(member=None), major=15, passfile="x")
    assert (values["primary_conninfo"], values["primary_slot_name"]) == ("", "")
