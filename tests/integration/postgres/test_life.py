"""A server is created, read, stopped, started again."""

import psutil

from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import StartServer, StopMode, StopServer
from tests.integration.postgres.conftest import MakeNode

FAST = StopServer(mode=StopMode.FAST, reason="test", checkpoint_first=True)
IMMEDIATE = StopServer(mode=StopMode.IMMEDIATE, reason="test")


def test_an_empty_directory_becomes_a_running_primary(make_node: MakeNode) -> None:
    node = make_node("a")
    assert node.read().directory.state is DirectoryState.EMPTY
    node.create_cluster()
    state = node.read()
    assert (state.server, state.role, state.timeline) == (ServerState.RUNNING, Role.PRIMARY, 1)
    assert state.directory.state is DirectoryState.INITIALIZED
    assert state.directory.mark is None
    assert state.flushed_lsn is not None
    assert state.lsn == state.flushed_lsn
    assert state.directory.control is not None
    assert state.system_id == state.directory.control.system_id
    assert state.pending_restart == ()
    names = {row[0] for row in node.sql("SELECT rolname FROM pg_roles")}
    assert {"replicator", "rewinder"} <= names


def test_a_fast_stop_tells_the_shutdown_checkpoint_and_leaves_the_exact_end_of_wal(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.sql("CREATE TABLE public.t (a int)")
    node.do(FAST)
    state = node.read()
    assert state.server is ServerState.STOPPED
    control = state.directory.control
    assert control is not None
    assert control.is_clean_primary_shutdown
    assert node.shut_down == [control.checkpoint_lsn]
    state = node.until(lambda found: found.directory.wal_end is not None)
    assert state.directory.wal_end is not None
    assert 0 < state.directory.wal_end - control.checkpoint_lsn <= 200
    assert state.directory.wal_end_timeline == 1
    node.do(StartServer(role=Role.PRIMARY))
    assert node.read().role is Role.PRIMARY


def test_a_search_for_the_end_of_wal_does_not_outlive_the_agent(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.do(IMMEDIATE)
    node.read(timeout_s=0.0)
    search = [child for child in psutil.Process().children() if child.name() == "pg_waldump"]
    node.postgres.close()
    assert search
    assert not any(child.is_running() for child in search)


def test_a_primary_is_not_started_without_a_lease(make_node: MakeNode) -> None:
    node = make_node("a")
    node.create_cluster()
    node.do(FAST)
    node.token = None
    assert not node.run(StartServer(role=Role.PRIMARY)).is_done
    assert node.read().server is ServerState.STOPPED
