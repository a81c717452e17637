"""What a restore in place does with the old directory, on a real server: nothing is given up for a backup that cannot be had."""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from hacore.errors import DataDirectoryError
from hacore.model.lsn import Lsn
from hacore.model.node import Role
from hacore.model.recovery import RecoveryTarget, TargetKind
from hacore.model.steps import CreateReplica, RestoreFromBackup, StartServer, UndoRestore
from hacore.postgres.conninfo import format_conninfo
from hacore.postgres.job import JobHandle
from hacore.postgres.surroundings import RestoredFiles, RestoreOrder
from tests.integration.plugins.archive_in_a_directory import DirectoryArchive
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import Node
from tests.integration.postgres.test_archive import FAST, IMMEDIATE, archived_primary, archives, fill, until, values, write
from tests.integration.postgres.test_replication import without_wal

SEGMENT = 16 << 20
MOVING = "restore, the old directory is being renamed"


@pytest.fixture
def store(directory: Path) -> DirectoryArchive:
    return DirectoryArchive(directory)


def wish(node: Node, *, keep: bool) -> RestoreFromBackup:
    system_id = node.read().system_id or node.instance.control.read(node.instance.programs).control.system_id
    return RestoreFromBackup(
        id="r1234567", backup="b", target=RecoveryTarget(), along=1, timeline=2, system_id=system_id, keep=keep, command="r1"
    )


def torn(order: RestoreOrder, _: JobHandle) -> RestoredFiles:
    """A tool that fails in the middle."""
    order.make_room()
    Path(order.data_dir, "PG_VERSION").write_text("half a directory\n")
    raise DataDirectoryError("the tool has failed")


def died(order: RestoreOrder, _: JobHandle) -> RestoredFiles:
    """The agent is killed in the middle: nobody puts anything back. The worker of this test lives on to say so."""
    order.make_room()
    Path(order.data_dir, "PG_VERSION").write_text("half a directory\n")
    raise SystemExit


def starts_with(node: Node, numbers: set[int]) -> bool:
    """The directory is as it was."""
    assert node.instance.mark.read() is None
    node.do(StartServer(role=Role.PRIMARY))
    return values(node) == numbers


@pytest.mark.parametrize("keep", [True, False])
def test_a_repository_that_does_not_answer_changes_nothing(make_node: MakeNode, store: DirectoryArchive, keep: bool) -> None:
    node = archived_primary(make_node, store)
    fill(node, 1)
    node.do(FAST)
    outcome = node.run(wish(node, keep=keep))
    assert "the repository is away" in (outcome.error or "")
    assert starts_with(node, {1})


def test_wal_that_waits_is_pushed_before_the_old_directory_is_given_up(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    store.say("broken")
    kept = fill(node, 1, 2)
    node.do(FAST)
    store.mend()
    assert not set(kept) & set(store.names())
    node.restore_files = torn
    assert not node.run(wish(node, keep=False)).is_done
    assert set(kept) <= set(store.names())


def test_wal_that_nobody_takes_is_not_given_up(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    archives(node, store, held="it is another's")
    node.postgres.reload()
    kept = fill(node, 1, 2)
    node.do(FAST)
    node.restore_files = torn
    outcome = node.run(wish(node, keep=False))
    assert "are not archived" in (outcome.error or "")
    assert kept[0] in (outcome.error or "")
    assert starts_with(node, {1, 2})
    node.do(FAST)
    assert "the tool has failed" in (node.run(wish(node, keep=True)).error or "")  # beside the new one it loses nothing
    assert starts_with(node, {1, 2})


def test_the_end_of_wal_of_a_server_that_did_not_stop_in_order_is_not_given_up(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    fill(node, 1)
    node.do(IMMEDIATE)
    node.restore_files = torn
    assert "did not stop in order" in (node.run(wish(node, keep=False)).error or "")
    assert starts_with(node, {1})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_moved_aside_is_put_back_by_whoever_ends_it(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    fill(node, 1)
    node.do(FAST)
    node.restore_files = died
    assert not node.run(wish(node, keep=True)).is_done
    node.adopt_agent()
    assert node.instance.mark.read() == "restore"
    for _ in range(2):  # done again it comes to the same
        node.do(UndoRestore(id="r1234567", command="r1 undone"))
    assert starts_with(node, {1})
    assert not list(node.data_dir.parent.glob("*.before-*"))


def test_a_directory_that_was_about_to_be_moved_is_whole(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    fill(node, 1)
    node.do(FAST)
    node.instance.mark.set(MOVING)  # as an agent leaves it that is killed just before it renames
    node.do(UndoRestore(id="r1234567", command="r1 undone"))
    assert starts_with(node, {1})


def backed_up(make_node: MakeNode, node: Node) -> Path:
    """A copy of the files, and nothing of their WAL."""
    copy = make_node("copy")
    copy.create_replica = without_wal
    copy.do(CreateReplica(leader=node.name, source=node.name, system_id=node.read().system_id))
    return copy.data_dir


def traffic(node: Node) -> str:
    """Fill a segment up, and begin the next one; return the name of the one that is full."""
    [(name,)] = node.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    while node.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())") == [(name,)]:
        node.sql("SELECT pg_logical_emit_message(true, 'test', repeat('much', 500000))")
    return str(name)


def restored_from(files: Path, command: str | None) -> Callable[[RestoreOrder, JobHandle], RestoredFiles]:
    """A tool that copies. ``command``: fetches WAL; ``None``: the node's own."""

    def restored(order: RestoreOrder, job: JobHandle) -> RestoredFiles:
        order.make_room()
        assert job.run(("cp", "-a", f"{files}/.", order.data_dir), environment={}).exit_code == 0
        return RestoredFiles(restore_command=command)

    return restored


def test_nobody_gets_in_before_it_is_known_whether_the_restore_holds(make_node: MakeNode, store: DirectoryArchive, directory: Path) -> None:
    node = archived_primary(make_node, store)
    files = backed_up(make_node, node)
    fill(node, 1)
    node.do(FAST)
    psql = node.instance.programs.path("psql")
    known = f"port={node.port} user=postgres dbname=postgres password='super secret'"
    tries = "".join(f'{psql} "host={host} {known}" -c "SELECT 1" && touch {directory}/in; ' for host in (directory, "127.0.0.1"))
    node.restore_files = restored_from(files, f"{{ {tries}}} >/dev/null 2>&1; exec cp {store.wal}/%f %p")
    node.do(wish(node, keep=True))
    assert not (directory / "in").exists()
    assert values(node) == {1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("keep", [True, False])
def test_the_rules_for_clients_stay_those_of_the_node_whatever_the_backup_has(
    make_node: MakeNode, store: DirectoryArchive, keep: bool
) -> None:
    node = archived_primary(make_node, store)
    files = backed_up(make_node, node)
    layout = node.instance.layout
    own = {path: f"{path.read_text()}# since the backup\n" for path in (layout.hba, layout.ident, layout.base_conf)}
    for path, text in own.items():
        path.write_text(text)
    (last,) = fill(node, 1)
    until(lambda: last in store.names(), "all is archived")
    node.do(FAST)
    node.restore_files, step = died, wish(node, keep=keep)
    assert not node.run(step).is_done
    node.adopt_agent()
    node.restore_files = restored_from(files, f"cp {store.wal}/%f %p")
    node.do(step)
    assert {path: path.read_text() for path in own} == own
    assert values(node) == {1}


def test_a_target_that_the_wal_does_not_reach_is_told_with_the_ways_out_whatever_language_the_cluster_speaks(
    make_node: MakeNode, store: DirectoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    node = archived_primary(make_node, store)
    node.change(parameters={**node.settings.parameters, "lc_messages": "C.utf8"})
    files = backed_up(make_node, node)
    fill(node, 1)
    node.do(FAST)
    node.restore_files = restored_from(files, f"cp {store.wal}/%f %p")

    def refused(time: datetime) -> datetime:
        error = node.run(replace(wish(node, keep=True), target=RecoveryTarget(kind=TargetKind.TIME, time=time))).error or ""
        found = re.search(r"the WAL ends before .*: its last transaction was at (.*); choose latest, or a time before that", error)
        assert found is not None, error
        return datetime.fromisoformat(found[1].replace(" UTC", "+00:00"))

    last = refused(datetime.now(UTC) + timedelta(hours=1))
    assert refused(last) == last  # PostgreSQL stops at the first one that is later
    before = RecoveryTarget(kind=TargetKind.TIME, time=last - timedelta(microseconds=1))
    node.do(replace(wish(node, keep=True), target=before))
    assert node.read().timeline == 2


def test_a_target_that_is_reached_before_anybody_can_look_is_no_gap(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    write(node, 0)
    with closing(psycopg2.connect(format_conninfo(node.instance.local_dsn("postgres")))) as session:
        cursor = session.cursor()
        for _ in range(70):  # more than a server keeps in mind: no snapshot is to be had before it has ended
            cursor.execute("SAVEPOINT s; INSERT INTO public.t VALUES (9)")
        files = backed_up(make_node, node)
        fill(node, 1)
        node.sql("SELECT pg_create_restore_point('here')")
        *_, last = fill(node, 2, 3)
        until(lambda: last in store.names(), "all is archived")
    node.do(FAST)
    node.restore_files = restored_from(files, None)
    node.do(replace(wish(node, keep=True), target=RecoveryTarget(kind=TargetKind.NAME, name="here")))
    assert values(node) == {0, 1}


@pytest.mark.parametrize("comes", [True, False], ids=["it comes after the end", "it does not come"])
def test_wal_of_another_cluster_that_comes_meanwhile_is_no_gap(
    make_node: MakeNode, store: DirectoryArchive, directory: Path, comes: bool
) -> None:
    node = archived_primary(make_node, store)
    files = backed_up(make_node, node)
    fill(node, 1)
    traffic(node)
    lost, later = traffic(node), *fill(node, 2)
    node.do(FAST)
    until(lambda: later in store.names(), "all is archived")
    aside = (store.wal / lost).rename(directory / lost)
    come = f"[ %f != 00000002.history ] || cp -p {aside} {store.wal}; " if comes else ""
    node.restore_files = restored_from(files, f"test -e {store.wal}/%f && exec cp {store.wal}/%f %p; {come}exit 1")
    outcome = node.run(wish(node, keep=True))
    if comes:
        assert outcome.is_done, outcome.error
        assert values(node) == {1}
    else:
        assert f"{lost} is missing or damaged, and {later} comes after it" in (outcome.error or "")


def test_a_newest_timeline_that_was_never_archived_is_told_with_the_way_out(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    files = backed_up(make_node, node)
    traffic(node)
    last, lost = traffic(node), *fill(node, 1)
    [(end,)] = node.sql("SELECT pg_current_wal_lsn()")
    node.do(FAST)
    for name in store.segments(1):
        if name > last:
            (store.wal / name).unlink()  # of the leader that was lost, and of the one after it
    (store.wal / "00000002.history").write_text(f"1\t{end}\tno recovery target specified\n")
    node.restore_files = restored_from(files, f"cp {store.wal}/%f %p")
    error = node.run(replace(wish(node, keep=True), along=2, timeline=3)).error or ""
    assert f"00000001{lost[8:]} is missing or damaged, and timeline 2 comes after it" in error
    (store.wal / "00000002.history").write_text(f"1\t{Lsn(Lsn.parse(end) - SEGMENT)}\tno recovery target specified\n")
    error = node.run(replace(wish(node, keep=True), id="r2", along=2, timeline=3)).error or ""
    assert f"00000002{lost[8:]} is missing or damaged, and timeline 2 comes after it" in error
    assert error.endswith("where the archive never had it, timeline 1")
    node.do(replace(wish(node, keep=True), id="r3", along=1, timeline=3))
    assert node.read().timeline == 3
