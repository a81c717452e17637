"""Who looks after the archive: whose it is, when WAL may go there, and what of it is told."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hacore.agent.archive_fault import LastingFault
from hacore.agent.archive_memory import NAME, ArchiveMemory
from hacore.agent.archive_own import own_archiver
from hacore.agent.archivist import Archivist
from hacore.errors import PluginUnavailableError, PostgresUnreachableError
from hacore.hookspecs import ArchiveRequest, hookimpl
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.jobs import JobKind
from hacore.model.world import World
from hacore.plugins.registry import Plugin
from hacore.postgres.archiving import Archiving
from hacore.postgres.layout import Layout
from tests.unit.decide import worlds as w
from tests.unit.plugins.making import CONTEXT, plugin, wait_until
from tests.unit.postgres.samples import settings as postgres_settings

SETTINGS = ArchiveSettings(push=("/bin/push", "%p"), fetch=("/bin/fetch", "%f", "%p"), missing_codes=(1,), environment=(("BUCKET", "a"),))


class Archive:
    """An archive plugin that answers as it is told."""

    def __init__(self) -> None:
        self.settings: ArchiveSettings | None = SETTINGS
        self.identity: object = ArchiveOwned()
        self.asked: list[ArchiveRequest] = []
        self.let_go = threading.Event()
        self.let_go.set()

    @hookimpl
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings | None:
        return self.settings

    @hookimpl
    def hacore_archive_identity(self, request: ArchiveRequest) -> object:
        self.asked.append(request)
        self.let_go.wait(20)
        if isinstance(self.identity, Exception):
            raise self.identity
        return self.identity

    @hookimpl
    def hacore_archive_status(self, request: ArchiveRequest) -> ArchiveStatus:
        return ArchiveStatus(last_segment="000000010000000000000001", gaps=("1-2",))


class Session:
    """What ``pg_stat_archiver`` answers."""

    row: tuple[object, ...] | None = (5, 0, None, False)

    def query(self, _: str, *, timeout_s: float) -> list[tuple[object, ...]]:
        assert timeout_s > 0
        if self.row is None:
            raise PostgresUnreachableError("away")
        return [self.row]

    def close(self) -> None:
        """Nothing is open."""


class Node:
    """The few things of an :class:`Instance` that are asked for, and an archivist beside them."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.session = directory, Session()
        self.parameters: dict[str, str] = {}
        self.notes: list[dict[str, object]] = []
        self.woken = threading.Event()
        layout = Layout(data_dir=directory / "data", config_dir=directory / "data", state_dir=directory / "state")
        (layout.wal_dir / "archive_status").mkdir(parents=True, exist_ok=True)
        layout.state_dir.mkdir(exist_ok=True)
        self.archiving = Archiving(layout)
        control = SimpleNamespace(control=w.control(major_version=15))
        parts: Any = SimpleNamespace(
            layout=layout,
            archiving=self.archiving,
            archive_by=self.archiving.use,
            note=lambda **facts: self.notes.append(facts),
            programs=None,
            control=SimpleNamespace(cached=lambda: control, read=lambda _: control),
            settings=postgres_settings(str(layout.data_dir)),
            session=lambda **_: self.session,
            server_environment=lambda: {"PATH": "/bin"},
            wanted_parameters=self.parameters,
        )
        self.instance = parts
        self.archivist = Archivist(parts, context=lambda: CONTEXT, wake=self.woken.set, look_s=0.05)

    def sees(self, world: World) -> None:
        self.archivist.published(world, None)  # type: ignore[arg-type]  # the decision is not looked at

    @property
    def state(self) -> ArchiveState | None:
        return self.archiving.state

    def held(self) -> str | None:
        return self.archivist.order(w.SYSTEM_ID, 15).held


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def built(archive: Archive) -> Iterator[Plugin]:
    found = plugin(archive, name="walg", kind="archive")
    yield found
    archive.let_go.set()
    found.calls.end()


@pytest.fixture
def node(tmp_path: Path, built: Plugin) -> Iterator[Node]:
    found = Node(tmp_path)
    found.archivist.use(built)
    yield found
    found.archivist.close()


LEADING = w.world(node=w.primary(), lease=w.lease())
FOLLOWING = w.world(node=w.standby())


def until_state(node: Node, **wanted: object) -> ArchiveState:
    wait_until(lambda: node.state is not None and all(getattr(node.state, name) == value for name, value in wanted.items()))
    assert node.state is not None
    return node.state


@pytest.mark.parametrize("answer", [ArchiveOwned(), ArchiveEmpty(), None])
def test_wal_goes_there_once_the_leader_has_asked_whose_it_is(node: Node, archive: Archive, answer: object) -> None:
    archive.identity = answer
    assert "has not been asked" in (node.held() or "")
    node.sees(LEADING)
    state = until_state(node, identity=ArchiveIdentity.OWN)
    assert node.held() is None
    assert (state.pushed, state.failed, state.ready_files, state.last_segment, state.gaps) == (
        5, 0, 0, "000000010000000000000001", ("1-2",),
    )  # fmt: skip
    assert node.notes == [{"settings_wanted": True}]
    assert node.woken.is_set()
    (asked,) = archive.asked
    assert (asked.identity.system_id, asked.identity.major_version, asked.identity.scope) == (w.SYSTEM_ID, 15, "c")
    assert (asked.socket_dir, asked.superuser, asked.environment) == ("/tmp", "postgres", {"PATH": "/bin"})


def test_a_standby_does_not_ask(node: Node, archive: Archive) -> None:
    node.sees(FOLLOWING)
    state = until_state(node, ready_files=0)
    assert (archive.asked, state.identity, state.is_watched, state.fault) == ([], ArchiveIdentity.UNASKED, False, None)
    assert node.held() is not None


def test_what_was_found_to_be_its_own_is_not_asked_again_after_a_restart(node: Node, archive: Archive, built: Plugin) -> None:
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    again = Node(node.directory)
    again.archivist.use(built)
    assert again.held() is None
    archive.identity = PluginUnavailableError("away")
    again.sees(LEADING)
    until_state(again, identity=ArchiveIdentity.OWN)
    again.archivist.close()
    assert len(archive.asked) == 1


def test_a_data_directory_that_begins_a_life_of_its_own_asks_again_though_its_identifier_is_known(node: Node, archive: Archive) -> None:
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    archive.identity = ArchiveConflict(owner="its origin")
    node.archiving.forget()
    assert node.held() is not None
    until_state(node, identity=ArchiveIdentity.CONFLICT)


def test_another_bucket_is_another_archive(node: Node, archive: Archive) -> None:
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    archive.settings = replace(SETTINGS, environment=(("BUCKET", "b"),))
    again = plugin(archive, name="walg", kind="archive")
    archive.let_go.clear()
    node.archivist.use(again)
    assert node.held() is not None
    archive.let_go.set()
    until_state(node, identity=ArchiveIdentity.OWN)
    assert len(archive.asked) == 2
    again.calls.end()


def test_another_cluster_s_archive_gets_nothing_until_it_is_mended(node: Node, archive: Archive) -> None:
    archive.identity = ArchiveConflict(owner="shop of 2019")
    node.sees(LEADING)
    state = until_state(node, identity=ArchiveIdentity.CONFLICT)
    assert state.owner == "shop of 2019"
    assert "shop of 2019" in (state.fault or "")
    assert "shop of 2019" in (node.held() or "")
    archive.identity = ArchiveOwned()
    until_state(node, identity=ArchiveIdentity.OWN, fault=None)
    assert node.held() is None


def test_an_archive_that_does_not_answer_gets_nothing_as_long_as_it_is_not_known(node: Node, archive: Archive) -> None:
    archive.identity = PluginUnavailableError("no route")
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.UNANSWERED, fault=None)
    wait_until(lambda: node.state is not None and node.state.fault is not None)
    archive.identity = ArchiveEmpty()
    until_state(node, identity=ArchiveIdentity.OWN, fault=None)


def test_an_archive_that_hangs_holds_up_nobody_who_tells_or_asks(node: Node, archive: Archive) -> None:
    archive.let_go.clear()
    node.sees(LEADING)
    wait_until(lambda: bool(archive.asked))
    for _ in range(100):
        node.sees(LEADING)
        assert node.held() is not None
    archive.let_go.set()
    until_state(node, identity=ArchiveIdentity.OWN)


def test_a_plugin_that_says_nothing_is_no_archive_that_is_ready(node: Node, archive: Archive) -> None:
    archive.settings = None
    with pytest.raises(PluginUnavailableError):
        node.held()
    node.sees(LEADING)
    until_state(node, is_watched=True, pushed=5)
    wait_until(lambda: node.state is not None and "returned nothing" in (node.state.fault or ""))


def test_pushes_that_fail_are_told_when_they_last_in_the_words_that_they_began_with(node: Node) -> None:
    node.session.row = (5, 3, "000000010000000000000006", True)
    node.sees(LEADING)
    until_state(node, failed=3, fault=None)
    wait_until(lambda: node.state is not None and node.state.fault == "push of 000000010000000000000006 failed")
    node.session.row = (5, 6, "000000010000000000000007", True)
    assert until_state(node, failed=6).fault == "push of 000000010000000000000006 failed"
    node.session.row = (7, 6, "000000010000000000000007", False)
    until_state(node, pushed=7, fault=None)


def test_what_waits_is_counted_with_its_age_and_histories_first(node: Node) -> None:
    status = node.instance.layout.wal_dir / "archive_status"
    for name in ("000000010000000000000002.ready", "00000002.history.ready", "000000010000000000000001.done"):
        (status / name).touch()
    node.sees(FOLLOWING)
    state = until_state(node, ready_files=2)
    assert (state.oldest_ready_s or 0) < 3600


def test_a_server_that_does_not_answer_is_not_known_to_fail(node: Node) -> None:
    node.session.row = None
    node.sees(LEADING)
    assert until_state(node, identity=ArchiveIdentity.OWN, ready_files=0).failed is None


def test_without_a_plugin_nothing_is_known(node: Node) -> None:
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    node.archivist.use(None)
    assert node.state is None
    assert not node.archiving.is_wanted
    with pytest.raises(PluginUnavailableError):
        node.archivist.order(w.SYSTEM_ID, 15)


@pytest.mark.parametrize("text", ["", "{", "5", '[1, "a"]'])
def test_a_memory_of_archives_that_cannot_be_read_asks_again(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    memory = ArchiveMemory(tmp_path)
    assert not memory.knows("b")
    memory.keep("b")
    assert ArchiveMemory(tmp_path).knows("b")


def waits(node: Node, name: str) -> Path:
    wal_dir = Path(node.instance.layout.wal_dir)
    (wal_dir / name).write_text("content")
    (wal_dir / "archive_status" / f"{name}.ready").touch()
    return wal_dir / "archive_status" / f"{name}.done"


def test_a_standby_pushes_what_it_kept_as_primary_once_the_archive_is_known(node: Node, archive: Archive, tmp_path: Path) -> None:
    archive.settings = replace(SETTINGS, push=("/bin/cp", "%p", f"{tmp_path}/%f"))
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    done = waits(node, "000000010000000000000007")
    node.sees(FOLLOWING)
    wait_until(done.exists)
    assert (tmp_path / "000000010000000000000007").read_text() == "content"


def test_a_push_of_a_standby_ends_when_there_is_work_to_do(node: Node, archive: Archive, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid; exec sleep 60\n")
    tool.chmod(0o755)
    archive.settings = replace(SETTINGS, push=(str(tool), "%p"))
    node.sees(LEADING)
    until_state(node, identity=ArchiveIdentity.OWN)
    done = waits(node, "000000010000000000000007")
    node.sees(FOLLOWING)
    wait_until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    node.sees(replace(FOLLOWING, job=w.job(JobKind.STOP)))
    pid = (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert not done.exists()


def test_failures_of_a_command_of_a_person_s_own_are_told_once_they_last(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.parameters["archive_mode"] = "on"
    node.session.row = (5, 1, "000000010000000000000006", True)
    node.sees(LEADING)
    wait_until(lambda: node.state is not None and node.state.fault == "push of 000000010000000000000006 failed")
    assert node.state is not None
    assert (node.state.name, node.state.is_watched, node.state.failed) == ("archive_command", True, 1)
    node.session.row = (6, 1, "000000010000000000000006", False)
    until_state(node, pushed=6, fault=None)
    node.sees(FOLLOWING)
    wait_until(lambda: node.state is None)
    node.archivist.close()


@pytest.mark.parametrize(("mode", "row"), [("off", (5, 1, None, True)), ("on", (0, 0, None, False)), ("on", None)])
def test_nothing_is_told_of_a_server_that_archives_nothing(tmp_path: Path, mode: str, row: tuple[object, ...] | None) -> None:
    node = Node(tmp_path)
    node.parameters["archive_mode"], node.session.row = mode, row
    assert own_archiver(node.instance, LastingFault(), is_primary=True) is None


def test_a_look_that_fails_is_not_the_last_one(node: Node) -> None:
    status = node.instance.layout.wal_dir / "archive_status"
    status.rmdir()
    status.write_text("a disk that has lost its directories")
    node.sees(LEADING)
    wait_until(lambda: bool(node.notes))  # it has asked whose the archive is, and was about to count files
    assert node.state is None
    status.unlink()
    status.mkdir()
    until_state(node, ready_files=0)
