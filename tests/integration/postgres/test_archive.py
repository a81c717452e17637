"""One or two servers and an archive: what PostgreSQL makes of the programs that it is given, on real servers."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import ArchiveConflictError
from hacore.interfaces import ArchiveSettings
from hacore.model.node import DirectoryState, NodeState, Role
from hacore.model.steps import CreateReplica, RecoverFromCrash, Rewind, StartServer, StopMode, StopServer
from hacore.postgres.archive_scripts import ShimLimits
from hacore.postgres.archiver import ready_files
from hacore.postgres.archiving import ArchiveOrder
from hacore.postgres.instance import NOBODY
from hacore.postgres.job import JobHandle
from hacore.postgres.leftovers import push_leftovers
from tests.integration.plugins.archive_in_a_directory import DirectoryArchive
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import Node

FAST = StopServer(mode=StopMode.FAST, reason="test")
IMMEDIATE = StopServer(mode=StopMode.IMMEDIATE, reason="test")


@pytest.fixture
def store(directory: Path) -> DirectoryArchive:
    return DirectoryArchive(directory)


def settings_of(store: DirectoryArchive) -> ArchiveSettings:
    tool, path = str(store.tool), str(store.root)
    return ArchiveSettings(
        push=(tool, "push", path, "me", "%p", "%f"),
        fetch=(tool, "fetch", path, "%f", "%p"),
        missing_codes=(74,),
        conflict_codes=(45,),
        push_limit_s=20.0,
        fetch_limit_s=60.0,
    )


def archives(node: Node, store: DirectoryArchive, held: str | None = None) -> None:
    order = ArchiveOrder(settings=settings_of(store), held=held)
    node.instance.archive_by(lambda system_id, major_version: order)


def small_and_forgetful(settings: PostgresSettings) -> PostgresSettings:
    """Keep no WAL that is archived."""
    return replace(settings, controlled_parameters={**settings.controlled_parameters, "wal_keep_size": "0"})


def until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def write(node: Node, value: int) -> None:
    node.sql("CREATE TABLE IF NOT EXISTS public.t (a int)")
    node.sql("INSERT INTO public.t VALUES (%s)", (value,))


def values(node: Node) -> set[int]:
    return {row[0] for row in node.sql("SELECT a FROM public.t")}


def fill(node: Node, *numbers: int) -> list[str]:
    """Write a number into a segment of its own each; return the segments' names."""
    full = []
    for number in numbers:
        write(node, number)
        full.append(str(node.sql("SELECT pg_walfile_name(pg_switch_wal())")[0][0]))
    return full


def archived_primary(make_node: MakeNode, store: DirectoryArchive, kind: str = "postgresql") -> Node:
    node = make_node("a", kind, change=small_and_forgetful)
    archives(node, store)
    node.create_cluster()
    return node


def standby_of(make_node: MakeNode, store: DirectoryArchive, leader: Node, kind: str = "postgresql") -> Node:
    node = make_node("b", kind, change=small_and_forgetful)
    archives(node, store)
    node.follow_from_scratch(leader)
    node.until(is_streaming)
    return node


def is_streaming(state: NodeState) -> bool:
    return state.replication_state == "streaming"


def test_the_wal_of_a_primary_goes_into_the_archive_with_its_histories(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    full = fill(node, 1, 2, 3)
    until(lambda: set(full) <= set(store.names()), "all are pushed")
    assert node.read().pending_restart == ()
    assert (node.state_dir / "archive" / "environment").stat().st_mode & 0o777 == 0o600


def test_a_held_archive_keeps_all_wal_and_gets_it_after_a_reload(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = make_node("a")
    archives(node, store, held="not asked yet")
    node.create_cluster()
    full = fill(node, 1, 2)
    until(lambda: node.sql("SELECT failed_count > 0 FROM pg_stat_archiver")[0][0], "it was tried")
    assert store.names() == []
    assert set(full) <= set(ready_files(node.instance.layout.wal_dir))
    archives(node, store)
    node.postgres.reload()
    until(lambda: set(full) <= set(store.names()), "all are pushed", 10.0)


def test_an_archive_that_comes_while_the_server_runs_waits_for_a_restart_and_is_said(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = make_node("a")
    node.create_cluster()
    assert node.sql("SHOW archive_mode") == [("off",)]
    archives(node, store)
    node.postgres.reload()
    state = node.until(lambda state: bool(state.pending_restart))
    assert ("archive_mode", "off", "on") in state.pending_restart
    node.do(FAST)
    node.do(StartServer(role=Role.PRIMARY))
    full = fill(node, 1)
    until(lambda: set(full) <= set(store.names()), "it is pushed")


def test_a_standby_that_lacks_wal_which_its_leader_has_removed_takes_it_from_the_archive(
    make_node: MakeNode, store: DirectoryArchive
) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    b.do(FAST)
    full = fill(a, *range(6))
    until(lambda: set(full) <= set(store.names()), "all are pushed")
    for _ in range(2):
        a.sql("CHECKPOINT")
    assert not (a.instance.layout.wal_dir / full[0]).exists(), "the leader has it no more"
    b.start_standby(a)
    b.until(is_streaming, timeout_s=60.0)
    until(lambda: values(b) == set(range(6)), "it has everything")


def test_a_standby_lives_while_the_archive_is_broken_and_counts_it(make_node: MakeNode, store: DirectoryArchive) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    b.do(FAST)
    store.say("broken")
    b.start_standby(a)
    b.until(is_streaming)
    write(a, 5)
    until(lambda: values(b) == {5}, "it streams")
    assert b.instance.archiving.notes().fetches_broken > 0


def restore(node: Node) -> "subprocess.CompletedProcess[str]":
    """Start the server of a copy as a person does that restores by hand, with limits for a test."""
    control = node.instance.control.read(node.instance.programs).control
    shim = node.instance.archiving.shim(control)
    assert shim is not None
    replace(shim, limits=ShimLimits(restore_s=2)).write()
    node.instance.layout.standby_signal.unlink(missing_ok=True)
    node.instance.layout.recovery_signal.touch()
    argv = [node.instance.programs.path("pg_ctl"), "start", "-w", "-t", "60", "-s", "-D", str(node.data_dir), "-l", f"{node.data_dir}.log"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize("fault", ["broken", "no wal"])
def test_a_restore_from_an_archive_that_cannot_be_read_stops_instead_of_promoting_less_than_there_is(
    make_node: MakeNode, store: DirectoryArchive, fault: str
) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    b.do(FAST)
    full = fill(a, 1, 2, 3)
    until(lambda: set(full) <= set(store.names()), "all are pushed")
    a.do(FAST)
    if fault == "broken":
        store.say("broken")
    else:
        store.wal.rename(store.root / "gone")
    assert restore(b).returncode != 0
    control = b.instance.control.read(b.instance.programs).control
    assert control.state in {"in archive recovery", "shut down in recovery"}
    assert control.timeline == 1
    assert not (b.instance.layout.wal_dir / "00000002.history").exists()
    assert "archive is broken" in Path(f"{b.data_dir}.log").read_text()
    store.mend()
    if fault == "no wal":
        (store.root / "gone").rename(store.wal)
    assert restore(b).returncode == 0
    until(lambda: b.sql("SELECT pg_is_in_recovery()") == [(False,)], "the restore has ended")
    assert values(b) == {1, 2, 3}


def test_a_promotion_ends_in_time_while_the_archive_hangs_and_takes_the_claimed_timeline(
    make_node: MakeNode, store: DirectoryArchive
) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    write(a, 1)
    until(lambda: "t" in {row[0] for row in b.sql("SELECT relname FROM pg_class WHERE relname = 't'")} and values(b) == {1}, "it streams")
    store.say("hang")
    a.do(IMMEDIATE)
    b.lead()
    began = time.monotonic()
    outcome = b.promote(3)
    assert outcome.is_done, outcome.error
    assert time.monotonic() - began < 30, "and not the limit of a fetch for each file that is asked for"
    state = b.read()
    assert (state.role, state.timeline) == (Role.PRIMARY, 3)


def lost_primary(make_node: MakeNode, store: DirectoryArchive, kind: str = "postgresql") -> tuple[Node, Node, list[str]]:
    """A primary that could not archive, was lost, and has written what its standby lacks; the standby is promoted."""
    a = archived_primary(make_node, store, kind)
    b = standby_of(make_node, store, a, kind)
    write(a, 1)
    until(lambda: b.sql("SELECT to_regclass('public.t') IS NOT NULL") == [(True,)] and values(b) == {1}, "it streams")
    store.say("broken")
    b.do(FAST)
    kept = fill(a, 2, 3)
    a.do(IMMEDIATE)
    store.mend()
    b.start_standby(None)
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    return a, b, kept


@pytest.mark.parametrize("kind", ["postgresql", "postgresql-16", "postgresql-18"])
def test_what_a_lost_primary_had_not_archived_is_pushed_before_it_is_rewound(
    make_node: MakeNode, store: DirectoryArchive, kind: str
) -> None:
    a, b, kept = lost_primary(make_node, store, kind)
    assert not set(kept) & set(store.names())
    a.do(RecoverFromCrash())
    assert set(kept) <= set(store.names())
    fill(b, 4)  # the leader is idle, at the beginning of a segment
    a.do(Rewind(leader="b", wipe_on_failure=False))
    a.start_standby(b)
    a.until(is_streaming)
    assert values(a) == {1, 4}


def test_a_rewind_stops_and_empties_nothing_where_the_archive_has_other_wal_under_the_same_name(
    make_node: MakeNode, store: DirectoryArchive
) -> None:
    a, _, kept = lost_primary(make_node, store)
    (store.wal / kept[0]).write_bytes(bytes(16 << 20))
    for step in (RecoverFromCrash(), Rewind(leader="b", wipe_on_failure=True)):
        outcome = a.run(step)
        assert (outcome.is_done, outcome.needs_person) == (False, True), outcome.error
        assert kept[0] in (outcome.error or "")
    directory = a.read().directory
    assert (directory.state, directory.mark) == (DirectoryState.INITIALIZED, None)
    assert kept[0] in ready_files(a.instance.layout.wal_dir)
    assert (store.wal / kept[0]).read_bytes() == bytes(16 << 20)
    store.say("broken")
    with pytest.raises(ArchiveConflictError, match=kept[0]):
        push_leftovers(a.instance, JobHandle(), stops_at_conflict=True, patience_s=1.0)
    store.mend()
    (store.wal / kept[0]).unlink()
    a.do(RecoverFromCrash())
    assert kept[0] in store.names()


def test_where_pg_rewind_would_see_no_difference_such_a_directory_is_not_emptied_either(
    make_node: MakeNode, store: DirectoryArchive
) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    store.say("broken")
    b.do(FAST)
    kept = fill(a, 1)
    a.do(FAST)
    store.mend()
    b.lead()
    b.do(StartServer(role=Role.PRIMARY))
    b.sql("CHECKPOINT")
    (store.wal / kept[0]).write_bytes(bytes(16 << 20))
    step = Rewind(leader="b", wipe_on_failure=True)
    outcome = a.run(step)
    assert (outcome.is_done, outcome.needs_person) == (False, True), outcome.error
    assert kept[0] in ready_files(a.instance.layout.wal_dir)
    (store.wal / kept[0]).unlink()
    assert "pg_rewind would see no difference" in (a.run(step).error or "")
    assert kept[0] in store.names()
    assert a.read().directory.state is DirectoryState.EMPTY


def test_a_diverged_directory_with_other_wal_than_the_archive_is_made_anew_for_a_person_alone(
    make_node: MakeNode, store: DirectoryArchive
) -> None:
    """It stopped in order, so no recovery comes first."""
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    store.say("broken")
    b.do(FAST)
    kept = fill(a, 1)
    a.do(FAST)
    store.mend()
    b.start_standby(None)
    b.lead()
    assert b.promote(2).is_done
    (store.wal / kept[0]).write_bytes(bytes(16 << 20))
    step = CreateReplica(leader="b", source="b", system_id=b.read().system_id)
    for fault in (None, "its plugin does not answer"):  # what was seen is not forgotten in an outage
        archives(a, store, held=fault)
        outcome = a.run(step)
        assert (outcome.is_done, outcome.needs_person) == (False, True), outcome.error
        assert kept[0] in (outcome.error or "")
    directory = a.read().directory
    assert (directory.state, directory.mark) == (DirectoryState.INITIALIZED, None)
    assert kept[0] in ready_files(a.instance.layout.wal_dir)
    a.do(replace(step, command="of a person"))
    assert kept[0] not in ready_files(a.instance.layout.wal_dir)


def test_a_former_primary_pushes_what_it_kept_before_it_follows_and_forgets(make_node: MakeNode, store: DirectoryArchive) -> None:
    """After an orderly stop nothing is rewound; a standby would recycle the segments."""
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    store.say("broken")
    kept = fill(a, 1, 2)
    until(lambda: b.sql("SELECT to_regclass('public.t') IS NOT NULL") == [(True,)] and values(b) == {1, 2}, "it streams")
    a.do(FAST)
    store.mend()
    b.lead()
    assert b.promote(2).is_done
    a.start_standby(b)
    assert set(kept) <= set(store.names())
    a.until(is_streaming)


def test_what_waits_is_pushed_by_a_person_s_own_command_where_no_plugin_is(make_node: MakeNode, directory: Path) -> None:
    target = directory / "100% mine"
    target.mkdir()
    command = f"[ ! -e '{directory}/away' ] && cp %p '{str(target).replace('%', '%%')}/%f'"

    def own(settings: PostgresSettings) -> PostgresSettings:
        return replace(settings, parameters={**settings.parameters, "archive_mode": "on", "archive_command": command})

    a = make_node("a", change=own)
    a.create_cluster()
    assert a.sql("SHOW archive_command") == [(command,)]
    (directory / "away").touch()
    kept = fill(a, 1)
    a.do(IMMEDIATE)
    (directory / "away").unlink()
    a.do(RecoverFromCrash())
    assert kept[0] in {path.name for path in target.iterdir()}


def test_a_standby_without_an_upstream_starts_although_the_archive_hangs(make_node: MakeNode, store: DirectoryArchive) -> None:
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    b.do(FAST)
    store.say("hang")
    b.do(StartServer(role=Role.STANDBY, upstream=NOBODY))
    began = time.monotonic()
    b.do(FAST)
    assert time.monotonic() - began < 20, "the tool ends with the server"
