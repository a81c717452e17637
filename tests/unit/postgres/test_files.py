import os
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.config.postgres_settings import PostgresSettings
from hacore.model.node import Upstream
from hacore.postgres import conffile
from hacore.postgres.authentication import minimal_hba, with_lines
from hacore.postgres.config_files import ConfigFiles
from hacore.postgres.files import not_ours
from hacore.postgres.layout import Layout
from hacore.postgres.mark import Mark
from hacore.postgres.parameters import Plan
from hacore.postgres.passfile import Login, temporary_passfile, write_passfile
from hacore.postgres.pidfile import parse_pid_file
from hacore.postgres.programs import parse_described, parse_version
from hacore.postgres.restore_settings import keep_restore_settings, read_restore_settings
from tests.unit.postgres.samples import connection, settings

NOBODY = Upstream(member=None)
UPSTREAM = Upstream(member='b "quoted"', host="10.0.0.2", port=5433, slot="a")
PLAN = Plan(normal={"work_mem": "4MB", "application_name": "it's"}, recovery={"primary_conninfo": "host=x"}, command_line=())


def test_a_directory_of_another_user_is_told_from_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not_ours(tmp_path) is None
    assert not_ours(tmp_path / "not there yet") is None
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert not_ours(tmp_path) == f"{tmp_path}: belongs to user {owner}, want {owner + 1}, as which hacore runs"


def layout(path: Path) -> Layout:
    data = path / "data"
    data.mkdir()
    state = path / "data.hacore"
    state.mkdir()
    return Layout(data_dir=data, config_dir=data, state_dir=state)


def test_the_file_that_was_there_before_is_kept_and_included(tmp_path: Path) -> None:
    places = layout(tmp_path)
    places.conf.write_text("work_mem = '1MB'\n")
    files = ConfigFiles(places)
    assert files.write(PLAN, UPSTREAM, None)
    assert places.base_conf.read_text() == "work_mem = '1MB'\n"
    found = conffile.parse_settings(places.conf.read_text())
    assert found["include"] == "postgresql.base.conf"
    assert (found["work_mem"], found["application_name"], found["hba_file"]) == ("4MB", "it's", str(places.hba))
    assert files.upstream() == UPSTREAM
    assert not files.write(PLAN, UPSTREAM, None)
    assert files.write(PLAN, NOBODY, None)
    assert places.base_conf.read_text() == "work_mem = '1MB'\n"


def test_a_write_that_was_killed_between_its_two_names_is_finished_by_the_next(tmp_path: Path) -> None:
    places = layout(tmp_path)
    places.conf.write_text("work_mem = '1MB'\n")
    places.base_conf.hardlink_to(places.conf)
    places.conf.with_name(".postgresql.conf.hacore").write_text("half")
    ConfigFiles(places).write(PLAN, NOBODY, None)
    assert places.base_conf.read_text() == "work_mem = '1MB'\n"
    assert "work_mem = '4MB'" in places.conf.read_text()


def test_a_generated_file_never_becomes_the_one_that_it_includes(tmp_path: Path) -> None:
    places = layout(tmp_path)
    files = ConfigFiles(places)
    files.write(PLAN, NOBODY, None)
    places.base_conf.unlink()
    files.write(PLAN, NOBODY, None)
    assert places.base_conf.read_text() == ""


def test_a_custom_file_is_included_and_the_base_file_left_alone(tmp_path: Path) -> None:
    places = layout(tmp_path)
    places.conf.write_text("work_mem = '1MB'\n")
    ConfigFiles(places).write(PLAN, NOBODY, "/etc/own.conf")
    assert not places.base_conf.exists()
    assert conffile.parse_settings(places.conf.read_text())["include"] == "/etc/own.conf"


def test_recovery_settings_are_stripped_from_what_alter_system_wrote(tmp_path: Path) -> None:
    places = layout(tmp_path)
    places.auto_conf.write_text("work_mem = '2MB'\nprimary_conninfo = 'host=evil'\n")
    ConfigFiles(places).write(PLAN, NOBODY, None)
    assert places.auto_conf.read_text() == "work_mem = '2MB'\n"


def test_missing_files_come_back_from_their_copies(tmp_path: Path) -> None:
    places = layout(tmp_path)
    files = ConfigFiles(places)
    files.write(PLAN, NOBODY, None)
    files.write_hba(["local all all trust"])
    files.keep_copies()
    places.hba.unlink()
    assert files.restore_missing() == ("pg_hba.conf",)
    assert "trust" in places.hba.read_text()


def test_signal_files_say_one_thing_only(tmp_path: Path) -> None:
    places = layout(tmp_path)
    files = ConfigFiles(places)
    places.recovery_signal.touch()
    files.set_signal(standby=True)
    assert (places.standby_signal.exists(), places.recovery_signal.exists()) == (True, False)
    files.set_signal(standby=False)
    assert not places.standby_signal.exists()


def test_a_mark_stands_until_the_work_has_ended(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "state")
    assert mark.read() is None
    mark.set("rewind")
    assert Mark(tmp_path / "state").read() == "rewind"
    mark.clear()
    assert mark.read() is None


def test_a_password_file_escapes_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    path.touch(0o644)
    write_passfile(path, [Login(host="::1", port=5432, user="a:b", password="c\\d")])
    assert path.read_text() == "\\:\\:1:5432:*:a\\:b:c\\\\d\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with temporary_passfile(tmp_path, []) as temporary:
        assert temporary.exists()
    assert not temporary.exists()


def test_the_file_of_a_running_server_tells_where_it_listens() -> None:
    text = "11903\n/data\n1795233498\n54999\n/tmp\n127.0.0.1\n  9977955     32775\nready   \n"
    found = parse_pid_file(text)
    assert found is not None
    assert (found.pid, found.port, found.socket_dir, found.listen_address, found.status) == (11903, 54999, "/tmp", "127.0.0.1", "ready")
    assert not found.is_single_user
    half = parse_pid_file("-77\n/data\n")
    assert half is not None
    assert (half.pid, half.is_single_user, half.port, half.status) == (77, True, None, None)
    assert parse_pid_file("") is None


def test_versions_and_parameters_of_a_program_are_read() -> None:
    assert parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)") == 150014
    assert parse_version("postgres (PostgreSQL) 18beta1") == 180000
    text = "work_mem\tuser\tMemory\tINTEGER\t4096\t64\t2147483647\tSets.\tMore.\nport\tpostmaster\tX\tINTEGER\t5432\t1\t65535\tSets.\t\n"
    found = parse_described(text)
    assert (found["work_mem"].minimum, found["port"].context) == (64.0, "POSTMASTER")


def named(replication: str | None, password: str | None) -> PostgresSettings:
    sample = settings("/d")
    return replace(sample, authentication=replace(sample.authentication, replication=connection(replication, password)))


def test_the_minimal_authentication_lets_members_replicate_and_nobody_in_without_a_password() -> None:
    lines = minimal_hba(named("rep", "x").authentication)
    assert 'host replication "rep" 0.0.0.0/0 scram-sha-256' in lines
    assert "local all all scram-sha-256" in lines
    assert not [line for line in lines if "trust" in line]
    assert not [line for line in minimal_hba(named("rep", None).authentication) if '"rep"' in line]


def test_lines_are_added_once() -> None:
    assert with_lines("# c\nlocal all all trust\n", ["local all all trust", "host x"]) == ("local all all trust", "host x")


def test_restore_settings_are_kept_until_the_next_method_leaves_others(tmp_path: Path) -> None:
    keep_restore_settings(tmp_path, [("restore_command", "fetch %f %p")])
    assert read_restore_settings(tmp_path) == {"restore_command": "fetch %f %p"}
    keep_restore_settings(tmp_path, [])
    assert read_restore_settings(tmp_path) == {}
