"""Creating a cluster by initdb with options, by a method of one's own, with scripts and gates."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import BootstrapMethod, BootstrapSettings, ToolOption
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import Bootstrap, StopMode, StopServer
from hacore.postgres.filling import Filling
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import INITDB, Node


def script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def from_backup(directory: Path, source: Node, *, recovery_conf: dict[str, str], extra: str = "") -> BootstrapMethod:
    """A method that copies a stopped server's directory, as a restore tool would leave it."""
    command = script(
        directory,
        "restore",
        f'for word in "$@"; do case $word in --datadir=*) cp -a {source.data_dir}/. "${{word#*=}}";; esac; done\n{extra}',
    )
    return BootstrapMethod(
        name="restore",
        command=f"{command} 'one word'",
        no_params=False,
        keep_existing_recovery_conf=False,
        recovery_conf=recovery_conf,
        options={"config": "/etc/restore.conf"},
    )


def method(found: BootstrapMethod) -> BootstrapSettings:
    return replace(INITDB, method=found)


def test_options_of_initdb_and_lines_of_pg_hba_are_the_configurations(make_node: MakeNode) -> None:
    wanted = replace(
        INITDB,
        initdb=(
            ToolOption(name="data-checksums", value=None),
            ToolOption(name="locale", value="C"),
            ToolOption(name="encoding", value="LATIN1"),
        ),
        pg_hba=("host all all 127.0.0.1/32 scram-sha-256", "host all all 10.0.0.0/8 scram-sha-256"),
    )
    node = make_node("a", bootstrap=wanted)
    node.create_cluster()
    state = node.read()
    assert state.directory.control is not None
    assert state.directory.control.data_checksums
    assert node.sql("SHOW server_encoding") == [("LATIN1",)]
    assert "10.0.0.0/8" in node.instance.layout.hba.read_text()


def test_post_bootstrap_gets_a_connection_string_without_a_secret(
    make_node: MakeNode, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATRONI_RESTAPI_PASSWORD", "HACORE_RESTAPI_PASSWORD", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.setenv(name, "kept back")
    after = script(directory, "after", f'env > {directory}/env; echo "$2" > {directory}/conninfo; psql "$2" -c "CREATE DATABASE app"')
    node = make_node("a", bootstrap=replace(INITDB, post_bootstrap=f"{after} first"))
    node.create_cluster()
    assert node.sql("SELECT count(*) FROM pg_database WHERE datname = 'app'") == [(1,)]
    assert "secret" not in (directory / "conninfo").read_text()
    environment = (directory / "env").read_text()
    assert "synchronous_commit=local" in environment
    assert "super secret" not in environment
    assert "kept back" not in environment


def test_a_post_bootstrap_that_fails_fails_the_bootstrap(make_node: MakeNode, directory: Path) -> None:
    node = make_node("a", bootstrap=replace(INITDB, post_bootstrap=str(script(directory, "after", "echo no disk; exit 1"))))
    node.lead()
    outcome = node.run(Bootstrap())
    assert "no disk" in (outcome.error or "")
    state = node.read()
    assert (state.server, state.directory.state) == (ServerState.STOPPED, DirectoryState.EMPTY)


def test_an_attempt_that_was_interrupted_is_begun_anew_and_what_its_links_lead_to_is_let_be(make_node: MakeNode, directory: Path) -> None:
    node = make_node("a")
    filled, live = (directory / name / "PG_15_202209061" for name in ("filled", "live"))
    for number, place in enumerate((filled, live)):
        place.mkdir(parents=True)
        (place / "data").write_text("pages")
        (node.data_dir / "pg_tblspc").mkdir(parents=True, exist_ok=True)
        (node.data_dir / "pg_tblspc" / str(number)).symlink_to(place.parent)
    (filled.parent / "mine").touch()
    node.instance.mark.set("bootstrap")
    Filling(node.state_dir).note([str(filled.parent)])  # the other link is what a backup of somebody's brought along
    node.create_cluster()
    assert [entry.name for entry in filled.parent.iterdir()] == ["mine"]
    assert (live / "data").read_text() == "pages"
    assert Filling(node.state_dir).read() == ()


def test_a_whole_authentication_file_of_the_configuration_is_written(make_node: MakeNode) -> None:
    lines = ("local all all trust", "host all all 127.0.0.1/32 trust")

    def configured(settings: PostgresSettings) -> PostgresSettings:
        return replace(settings, pg_hba=lines, use_unix_socket=True)

    node = make_node("a", change=configured)
    node.create_cluster()
    assert node.instance.layout.hba.read_text().splitlines()[1:] == list(lines)
    assert node.instance.local_dsn()["host"].startswith("/")
    assert node.read().role is Role.PRIMARY


def test_a_method_of_ones_own_makes_the_cluster_by_recovery_to_a_target(make_node: MakeNode, directory: Path) -> None:
    source = make_node("source")
    source.create_cluster()
    source.sql("CREATE TABLE public.t (a int)")
    source.do(StopServer(mode=StopMode.IMMEDIATE, reason="test"))
    recovery = {"restore_command": "false", "recovery_target_timeline": "latest"}
    node = make_node("a", bootstrap=method(from_backup(directory, source, recovery_conf=recovery, extra=f'echo "$@" > {directory}/words')))
    node.create_cluster()
    state = node.read()
    assert (state.role, state.timeline, state.directory.mark) == (Role.PRIMARY, 2, None)
    assert node.sql("SELECT count(*) FROM public.t") == [(0,)]
    assert (directory / "words").read_text().split(" --") == [
        "one word",
        "scope=demo",
        f"datadir={node.data_dir}",
        "config=/etc/restore.conf\n",
    ]
    assert "trust" not in node.instance.layout.hba.read_text()


def test_nobody_gets_in_while_a_method_of_ones_own_recovers(make_node: MakeNode, directory: Path) -> None:
    source = make_node("source")
    source.create_cluster()
    source.do(StopServer(mode=StopMode.IMMEDIATE, reason="test"))
    looks = script(directory, "looks", f"ls -A {directory} >> {directory}/sockets; cat /proc/net/tcp >> {directory}/ports; exit 1")
    recovery = {"restore_command": str(looks), "recovery_target_timeline": "latest"}
    bootstrap = replace(method(from_backup(directory, source, recovery_conf=recovery)), pg_hba=("host all all 10.0.0.0/8 scram-sha-256",))
    node = make_node("a", bootstrap=bootstrap)
    node.create_cluster()
    assert f".s.PGSQL.{node.port}" not in (directory / "sockets").read_text().split()
    assert f":{node.port:04X} 00000000:0000 0A" not in (directory / "ports").read_text()
    assert node.sql("SELECT count(*) FROM pg_hba_file_rules WHERE address = '10.0.0.0'") == [(1,)]
    assert node.sql("SHOW hba_file") == [(str(node.instance.layout.hba),)]
    assert list(node.state_dir.glob("*.run")) == []


def test_a_method_that_leaves_a_stopped_directory_starts_as_it_is(make_node: MakeNode, directory: Path) -> None:
    source = make_node("source")
    source.create_cluster()
    source.do(StopServer(mode=StopMode.FAST, reason="test"))
    node = make_node("a", bootstrap=method(from_backup(directory, source, recovery_conf={})))
    node.create_cluster()
    assert (node.read().role, node.read().timeline) == (Role.PRIMARY, 1)


def test_a_method_that_fails_leaves_nothing_that_would_be_started(make_node: MakeNode, directory: Path) -> None:
    source = make_node("source")
    source.create_cluster()
    source.do(StopServer(mode=StopMode.FAST, reason="test"))
    node = make_node("a", bootstrap=method(from_backup(directory, source, recovery_conf={}, extra="exit 4")))
    node.lead()
    outcome = node.run(Bootstrap())
    assert "4" in (outcome.error or "")
    assert node.read().directory.state is DirectoryState.EMPTY
