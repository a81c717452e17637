"""What is killed, stopped or left half done is recognised, ends at the deadline, and is repaired or refused."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import PostgresUnreachableError
from hacore.guard.jobs import NODE_VARIABLE, end_leftovers
from hacore.guard.values import FenceKind
from hacore.interfaces import Job
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import (
    Bootstrap,
    CreateReplica,
    RecoverFromCrash,
    RestartServer,
    Rewind,
    StartServer,
    StopMode,
    StopServer,
)
from hacore.postgres.cleaning import clean
from hacore.postgres.filling import Filling
from hacore.postgres.mark import Mark
from hacore.postgres.surroundings import ReplicaSite, RestoreSettings
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import ROOT, Node, basebackup

IMMEDIATE = StopServer(mode=StopMode.IMMEDIATE, reason="test")


def kill_postmaster(node: Node) -> None:
    pid = node.read().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    node.until(lambda state: state.server is ServerState.STOPPED)


def test_a_stopped_backend_costs_a_reading_its_deadline_and_no_more(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.read()
    backend = node.postgres._reader.session().backend_pid
    assert backend is not None
    os.kill(backend, signal.SIGSTOP)
    began = time.monotonic()
    state = node.read(timeout_s=1.0)
    assert time.monotonic() - began < 2.0
    assert (state.server, state.role) == (ServerState.UNREACHABLE, None)
    assert node.read().server is ServerState.RUNNING  # by another session
    os.kill(backend, signal.SIGCONT)


def test_a_stopped_postmaster_is_unreachable_and_its_role_not_known(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    pid = node.read().pid
    assert pid is not None
    node.adopt_agent()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    state = node.read(timeout_s=1.0)
    assert time.monotonic() - began < 2.0
    assert (state.server, state.role) == (ServerState.UNREACHABLE, None)
    os.kill(pid, signal.SIGCONT)
    node.until(lambda found: found.server is ServerState.RUNNING)


def test_a_stopped_backend_does_not_hold_up_a_stop_for_ever(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    session = node.session()
    session.query("SELECT 1", timeout_s=5.0)
    assert session.backend_pid is not None
    os.kill(session.backend_pid, signal.SIGSTOP)
    node.do(StopServer(mode=StopMode.FAST, reason="test", timeout_s=1.0), timeout_s=20.0)
    assert node.read().server is ServerState.STOPPED
    session.close()


def test_backends_that_outlive_the_postmaster_are_seen_and_ended(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    session = node.session()
    session.query("SELECT 1", timeout_s=5.0)
    backend = session.backend_pid
    pid = node.read().pid
    assert backend is not None
    assert pid is not None
    os.kill(backend, signal.SIGSTOP)
    os.kill(node.guard_process.pid, signal.SIGSTOP)  # it would sweep them up at once
    os.kill(pid, signal.SIGKILL)
    node.until(lambda state: state.server is ServerState.ORPHANED)
    os.kill(node.guard_process.pid, signal.SIGCONT)
    node.do(IMMEDIATE)
    assert node.read().server is ServerState.STOPPED
    session.close()


def test_a_crashed_primary_is_started_again_in_place(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.sql("CREATE TABLE public.t (a int)")
    kill_postmaster(node)
    assert node.instance.layout.pid_file.exists()
    node.do(StartServer(role=Role.PRIMARY))
    state = node.read()
    assert (state.role, state.timeline) == (Role.PRIMARY, 1)
    assert node.sql("SELECT count(*) FROM public.t") == [(0,)]


def test_a_crashed_primary_is_brought_to_a_clean_end_without_letting_anybody_in(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.sql("CREATE TABLE public.t (a int)")
    kill_postmaster(node)
    control = node.read().directory.control
    assert control is not None
    assert control.was_primary
    node.do(RecoverFromCrash())
    state = node.until(lambda found: found.directory.wal_end is not None)
    assert state.directory.control is not None
    assert state.directory.control.is_clean_primary_shutdown
    assert state.directory.wal_end is not None
    assert state.directory.wal_end > state.directory.control.checkpoint_lsn


def test_a_server_that_cannot_start_says_why(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.do(IMMEDIATE)
    with node.instance.layout.base_conf.open("a") as file:
        file.write("work_mem = nonsense\n")
    outcome = node.run(StartServer(role=Role.PRIMARY))
    assert not outcome.is_done
    assert "work_mem" in (outcome.error or "")
    state = node.read()
    assert "work_mem" in (state.last_start_failed or "")
    assert state.server is ServerState.STOPPED
    assert not node.run(StartServer(role=Role.PRIMARY)).is_done
    assert node.worker.outcomes()[-1].failures == 2


@pytest.mark.parametrize("age_s", [60.0, -60.0])
def test_an_empty_lock_file_of_a_socket_is_removed_unless_it_may_be_of_a_server_that_starts_now(make_node: MakeNode, age_s: float) -> None:
    node = make_node("a")
    node.create_cluster()
    node.do(IMMEDIATE)
    lock = Path(node.settings.parameters["unix_socket_directories"]) / f".s.PGSQL.{node.port}.lock"
    lock.touch(0o600)
    owner, written_at = node.instance.layout.data_dir.stat(), time.time() - age_s
    os.chown(lock, owner.st_uid, owner.st_gid)
    os.utime(lock, (written_at, written_at))
    outcome = node.run(StartServer(role=Role.PRIMARY))
    assert outcome.is_done == (age_s > 0)
    assert outcome.is_done or lock.read_bytes() == b""


def test_a_bootstrap_that_fails_is_moved_aside(make_node: MakeNode, directory: Path) -> None:
    node = make_node("a")
    node.around_vetoes = True
    node.adopt_agent()
    node.lead()
    outcome = node.run(Bootstrap())
    assert not outcome.is_done
    state = node.read()
    assert (state.server, state.directory.state) == (ServerState.STOPPED, DirectoryState.EMPTY)
    assert (directory / "a.failed" / "PG_VERSION").exists()


def test_an_interrupted_initdb_is_recognised_and_begun_anew(make_node: MakeNode) -> None:
    node = make_node("a")
    Mark(node.state_dir).set("bootstrap")
    node.data_dir.mkdir(mode=0o700)
    (node.data_dir / "PG_VERSION").write_text("15\n")
    state = node.read()
    assert (state.directory.state, state.directory.mark) == (DirectoryState.UNFINISHED, "bootstrap")
    assert not node.run(StartServer(role=Role.STANDBY)).is_done
    node.create_cluster()
    assert node.read().directory.state is DirectoryState.INITIALIZED


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.5, 0.9])
def test_an_agent_killed_at_any_point_of_a_bootstrap_leaves_what_the_next_one_understands(make_node: MakeNode, after_s: float) -> None:
    node = make_node("a")
    argv = [sys.executable, "-m", "tests.integration.postgres.agent_process"]
    argv += [str(node.data_dir), str(node.state_dir), str(node.port), node.settings.bin_dir or ""]
    environment = {**os.environ, NODE_VARIABLE: str(node.state_dir)}
    agent = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    assert agent.stdout.readline() == "begun\n"
    time.sleep(after_s)
    agent.kill()
    is_done = "None" in agent.communicate()[0]
    end_leftovers(str(node.state_dir))
    node.adopt_agent()
    node.guard.attach()
    state = node.read()
    assert (state.directory.state is DirectoryState.INITIALIZED) == is_done
    if not is_done:
        assert not node.run(StartServer(role=Role.STANDBY)).is_done
        node.do(IMMEDIATE)
        node.token = 1
        node.do(Bootstrap())
    state = node.until(lambda found: found.server is ServerState.RUNNING)
    assert (state.role, state.directory.mark) == (Role.PRIMARY, None)


def test_files_of_somebody_else_are_never_emptied(make_node: MakeNode) -> None:
    node = make_node("a")
    node.data_dir.mkdir(mode=0o700)
    (node.data_dir / "letter.txt").write_text("dear")
    assert node.read().directory.state is DirectoryState.BROKEN
    node.lead()
    assert not node.run(Bootstrap()).is_done
    assert not node.run(CreateReplica(leader=None, source=None, system_id="1")).is_done
    assert [path.name for path in node.data_dir.iterdir()] == ["letter.txt"]


def with_an_older_one_beside(node: Node, directory: Path) -> tuple[Path, Path]:
    """A stopped server with a tablespace whose directory has something of the version before, as after ``pg_upgrade``; both."""
    space = directory / "space"
    space.mkdir()
    node.create_cluster()
    node.sql(f"CREATE TABLESPACE aside LOCATION '{space}'")
    (own,) = space.iterdir()
    older = space / "PG_9_200001011" / "5" / "1"
    older.mkdir(parents=True)
    node.do(StopServer(mode=StopMode.FAST, reason="test"))
    return own, older


def test_nothing_is_emptied_whose_tablespaces_lie_beside_those_of_another_version(make_node: MakeNode, directory: Path) -> None:
    node = make_node("a")
    own, older = with_an_older_one_beside(node, directory)
    system_id = node.instance.control.read(node.instance.programs).control.system_id
    outcome = node.run(CreateReplica(leader=None, source=None, system_id=system_id))
    assert not outcome.is_done
    assert str(older.parents[1]) in str(outcome.error)
    assert (own.exists(), older.exists(), node.instance.mark.read()) == (True, True, None)
    node.do(StartServer(role=Role.PRIMARY))
    assert node.sql("SELECT spcname FROM pg_tablespace WHERE spcname = 'aside'") == [("aside",)]


def test_of_a_tablespace_only_that_of_the_own_version_is_removed(make_node: MakeNode, directory: Path) -> None:
    node = make_node("a")
    own, older = with_an_older_one_beside(node, directory)
    clean(node.instance)
    assert (own.exists(), older.exists(), list(node.data_dir.iterdir())) == (False, True, [])
    own.mkdir()
    Filling(node.state_dir).note([str(own.parent)])  # a tool was to fill it, and has died
    clean(node.instance)
    assert (own.exists(), older.exists()) == (False, True)


def test_a_replica_method_that_dies_leaves_a_mark_and_the_next_attempt_begins_anew(make_node: MakeNode) -> None:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()

    def dies(site: ReplicaSite, job: Job) -> RestoreSettings:
        basebackup(site, job)
        raise PostgresUnreachableError("killed")

    b.create_replica = dies
    step = CreateReplica(leader="a", source="a", system_id=a.read().system_id)
    assert not b.run(step).is_done
    state = b.read()
    assert state.directory.state is DirectoryState.UNFINISHED
    assert not b.run(StartServer(role=Role.STANDBY, upstream=a.as_upstream())).is_done
    b.create_replica = basebackup
    b.follow_from_scratch(a)
    b.until(lambda found: found.replication_state == "streaming")


def test_a_cancelled_base_backup_ends_its_processes(make_node: MakeNode) -> None:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()

    def slow(site: ReplicaSite, job: Job) -> RestoreSettings:
        assert site.source is not None
        options = ("--max-rate=32k", "--checkpoint=fast", "-X", "stream", f"--pgdata={site.data_dir}", f"--dbname={site.source.conninfo}")
        job.run([site.programs["pg_basebackup"], *options], environment=site.environment)
        return ()

    b.create_replica = slow
    step = CreateReplica(leader="a", source="a", system_id=a.read().system_id)
    b.submit(step)
    a.until(lambda state: any(sender.application_name == "b" for sender in state.senders))
    b.worker.cancel("test")
    outcome = b.wait(step)
    assert not outcome.is_done
    a.until(lambda state: not state.senders)
    assert b.read().directory.state is not DirectoryState.INITIALIZED


def test_a_replica_of_another_cluster_is_not_sealed(make_node: MakeNode) -> None:
    a, b, c = make_node("a"), make_node("b"), make_node("c")
    a.create_cluster()
    b.create_cluster()
    step = CreateReplica(leader="a", source="b", system_id=a.read().system_id)
    assert not c.run(step).is_done
    assert c.read().directory.state is DirectoryState.UNFINISHED


def diverged(make_node: MakeNode) -> tuple[Node, Node]:
    """A former primary that is down with WAL of its own, and the primary that has left it."""
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    b.follow_from_scratch(a)
    b.until(lambda found: found.replication_state == "streaming")
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    a.sql("CREATE TABLE public.lost (a int)")
    a.do(IMMEDIATE)
    return a, b


def test_a_rewind_that_is_killed_leaves_a_directory_that_is_never_started(make_node: MakeNode) -> None:
    a, b = diverged(make_node)
    killer = a.instance.layout.state_dir / "pg_rewind"
    killer.write_text("#!/bin/sh\necho 'pg_rewind: need to copy 1 MB'\nkill -9 $$\n")
    killer.chmod(0o755)
    a.instance.programs._names["pg_rewind"] = str(killer)
    assert not a.run(Rewind(leader="b", wipe_on_failure=False)).is_done
    state = a.read()
    assert (state.directory.state, state.directory.mark) == (DirectoryState.UNFINISHED, "rewind")
    assert not a.run(StartServer(role=Role.STANDBY, upstream=b.as_upstream())).is_done
    a.instance.programs._names.clear()
    a.follow_from_scratch(b)
    a.until(lambda found: found.replication_state == "streaming" and found.timeline == 2)


def test_a_rewind_that_is_cancelled_as_it_begins_to_write_leaves_its_mark(make_node: MakeNode) -> None:
    a, _ = diverged(make_node)
    slow = a.instance.layout.state_dir / "pg_rewind"
    asked = slow.with_name("asked")
    copies = "echo 'pg_rewind: reading'; echo 'pg_rewind: need to copy 1 MB'; exit 1"
    slow.write_text(f'#!/bin/sh\ntrap "{copies}" TERM\ntouch {asked}\nsleep 60 & wait\n')
    slow.chmod(0o755)
    a.instance.programs._names["pg_rewind"] = str(slow)
    step = Rewind(leader="b", wipe_on_failure=False)
    a.submit(step)
    a.until(lambda _: asked.exists())
    a.worker.cancel("test")
    assert not a.wait(step).is_done
    assert a.read().directory.mark == "rewind"


def test_a_rewind_that_is_refused_before_it_writes_leaves_the_directory_whole(make_node: MakeNode) -> None:
    a, _ = diverged(make_node)
    a.do(RecoverFromCrash())
    for segment in (a.data_dir / "pg_wal").glob("0000000100*"):
        segment.unlink()
    assert not a.run(Rewind(leader="b", wipe_on_failure=False)).is_done
    assert a.read().directory.mark is None
    assert not a.run(Rewind(leader="b", wipe_on_failure=True)).is_done
    assert a.read().directory.state is DirectoryState.EMPTY


def test_a_rewind_fetches_old_wal_by_the_restore_command(make_node: MakeNode, directory: Path) -> None:
    archive = directory / "archive"
    archive.mkdir()

    def archived(settings: PostgresSettings) -> PostgresSettings:
        return replace(settings, recovery_conf={"restore_command": f"cp {archive}/%f %p"})

    a, b = make_node("a", change=archived), make_node("b")
    a.create_cluster()
    b.follow_from_scratch(a)
    b.until(lambda found: found.replication_state == "streaming")
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    for number in range(3):
        a.sql(f"CREATE TABLE public.lost{number} (a int)")
        a.sql("SELECT pg_switch_wal()")
    a.sql("CHECKPOINT")
    a.do(IMMEDIATE)
    a.do(RecoverFromCrash())
    control = a.read().directory.control
    assert control is not None
    old = [
        path
        for path in (a.data_dir / "pg_wal").glob("00000001????????????????")
        if path.name < f"00000001{0:08X}{control.redo_lsn >> 24:08X}"
    ]
    assert old
    for path in old:
        shutil.move(path, archive / path.name)
    a.do(Rewind(leader="b", wipe_on_failure=False))
    a.start_standby(b)
    a.until(lambda found: found.replication_state == "streaming" and found.timeline == 2)
    assert a.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'lost%%'") == [(0,)]


def test_a_restart_keeps_the_role_and_takes_the_settings_that_waited(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    wanted = {**node.settings.controlled_parameters, "max_connections": "60"}
    parameters = {**node.settings.parameters, "work_mem": "8MB", "shared_buffers": "20MB", "no_such_thing": "1"}
    node.change(controlled_parameters=wanted, parameters=parameters)
    assert node.read().settings_wanted
    node.postgres.reload()
    state = node.until(lambda found: len(found.pending_restart) == 2)
    assert not state.settings_wanted
    assert state.pending_restart == (("max_connections", "50", "60"), ("shared_buffers", "16MB", "20MB"))
    assert node.sql("SHOW work_mem") == [("8MB",)]
    node.do(RestartServer(role=Role.PRIMARY))
    state = node.read()
    assert (state.role, state.pending_restart) == (Role.PRIMARY, ())
    assert node.sql("SHOW max_connections") == [("60",)]


def test_no_secret_is_in_a_command_line_or_in_a_file_that_others_may_read(make_node: MakeNode) -> None:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    seen: list[str] = []

    def spying(site: ReplicaSite, job: Job) -> RestoreSettings:
        assert site.source is not None
        seen.append(site.source.conninfo)
        return basebackup(site, job)

    b.create_replica = spying
    b.follow_from_scratch(a)
    secrets = ("super secret", "rep:secret", "rew\\secret")
    told = seen + [Path(f"/proc/{pid}/cmdline").read_text() for node in (a, b) for pid in node.instance.processes.alive()]
    told += [path.read_text() for node in (a, b) for path in node.state_dir.glob("*.log*")]
    assert not [secret for secret in secrets for text in told if secret in text]
    assert Path(b.settings.pgpass).stat().st_mode & 0o777 == 0o600
    assert not list(b.state_dir.glob("pgpass.*"))


@pytest.mark.parametrize("mode", [StopMode.FAST, StopMode.IMMEDIATE])
def test_a_server_that_somebody_else_started_is_adopted(make_node: MakeNode, mode: StopMode) -> None:
    node = make_node("a")
    programs = node.instance.programs
    subprocess.run([programs.path("initdb"), "-D", str(node.data_dir), "-U", "postgres", "-A", "trust"], check=True, capture_output=True)
    conf = node.data_dir / "postgresql.conf"
    conf.write_text(conf.read_text() + f"port = {node.port}\nunix_socket_directories = '{node.data_dir.parent}'\nwork_mem = '5MB'\n")
    start = [programs.path("pg_ctl"), "-D", str(node.data_dir), "-w", "-l", str(node.state_dir / "foreign.log"), "start"]
    subprocess.run(start, check=True, capture_output=True)
    state = node.read()
    assert (state.server, state.role, state.directory.state) == (ServerState.RUNNING, Role.PRIMARY, DirectoryState.INITIALIZED)
    assert ("wal_log_hints", "off", "on") in state.pending_restart
    assert (node.guard.state().server_pid, node.guard.state().fence) == (state.pid, FenceKind.PARTIAL)
    node.postgres.reload()
    assert "work_mem = '5MB'" in node.instance.layout.base_conf.read_text()
    assert node.sql("SHOW work_mem") == [("5MB",)]
    assert node.read().pid == state.pid
    node.lead()
    node.do(StopServer(mode=mode, reason="test"))
    node.do(StartServer(role=Role.PRIMARY))
    assert node.read().pending_restart == ()
    assert node.sql("SHOW wal_log_hints") == [("on",)]
    assert node.guard.state().fence is FenceKind.FULL


def test_a_stopped_directory_made_by_hand_is_taken_over(make_node: MakeNode) -> None:
    node = make_node("a")
    initdb = [node.instance.programs.path("initdb"), "-D", str(node.data_dir), "-U", "postgres", "-A", "trust"]
    subprocess.run(initdb, check=True, capture_output=True)
    state = node.read()
    assert (state.server, state.directory.state) == (ServerState.STOPPED, DirectoryState.INITIALIZED)
    node.lead()
    node.do(StartServer(role=Role.PRIMARY))
    assert "max_connections" in node.instance.layout.base_conf.read_text()
    assert node.sql("SHOW max_connections") == [("50",)]


@pytest.mark.parametrize("version", [16, 18])
def test_other_versions_are_created_followed_promoted_and_rewound_too(make_node: MakeNode, version: int) -> None:
    a, b = make_node("a", f"postgresql-{version}"), make_node("b", f"postgresql-{version}")
    a.create_cluster()
    b.follow_from_scratch(a)
    b.until(lambda found: found.replication_state == "streaming")
    a.sql("CREATE TABLE public.t (a int)")
    a.do(IMMEDIATE)
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    a.do(Rewind(leader="b", wipe_on_failure=False))
    a.start_standby(b)
    a.until(lambda found: found.replication_state == "streaming" and found.timeline == 2)
    assert (b.read().server_version or 0) // 10000 == version
