# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for backup tools, against the real tool and a real server."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import psycopg2
import pytest

from hacore.errors import HacoreError, JobCancelledError, PluginUnavailableError
from hacore.guard.jobs import NODE_VARIABLE, leftovers
from hacore.hookspecs import BackupRequest, BackupSite, ExpireBackups, ListBackups, RestoreRequest, TablespacePlaces, VerifyBackup
from hacore.interfaces import Backup, BackupState, Expired, Failed, Restored, Verified
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from hacore.postgres.tablespaces import refuse_outside, settled
from hacore.testing.conformance.plugin import PluginConformance, PluginUnderTest, built
from hacore.testing.faults.tool import Misbehaviour
from hacore.testing.workdir import give_away

CANCEL_S: Final = 20.0  # SIGTERM, then 10 s, then SIGKILL
_LIST_S: Final = 10.0
_WHERE_THEY_WERE: Final = TablespacePlaces()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupCases:
    """A server that runs and archives its WAL, and a repository without a backup."""

    site: BackupSite
    empty: Callable[[], Path]  # make another empty directory in which the tool may write
    spoil: Callable[[], None]  # the repository cannot be read any more
    mend: Callable[[], None]


class BackupConformance(PluginConformance):
    """Everything that the core rests on with a backup tool.

    The subclass brings ``subject``, ``cases``, and ``misbehaving``: the subject with a tool that misbehaves. It adds the classes below for
    the hooks that the plugin has.
    """

    @pytest.fixture
    def job(self) -> Iterator[JobHandle]:
        handle = JobHandle()
        yield handle
        handle.cancel("the test has ended")

    def test_it_is_tried_with_every_hook_that_it_has(self, plugin: Plugin) -> None:
        assert isinstance(self, ExpiryConformance) == plugin.calls.has("hacore_expire_backups")
        assert isinstance(self, VerificationConformance) == plugin.calls.has("hacore_verify_backup")

    def test_a_backup_is_listed_with_what_a_restore_is_planned_by(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        assert backups(plugin, cases.site) == ()
        made = make_backup(plugin, cases.site, job)
        (listed,) = backups(plugin, cases.site)
        assert (listed.id, listed.state) == (made.id, BackupState.OK)
        assert listed.timeline == 1
        assert listed.start_lsn is not None
        assert listed.stopped_at is not None
        assert listed.stopped_at.tzinfo is not None
        assert listed.system_id in {None, cases.site.system_id}

    def test_a_restore_makes_a_whole_data_directory(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        made = make_backup(plugin, cases.site, job)
        directory = cases.empty()
        outcome = restore(plugin, cases.site, made, directory, job)
        assert isinstance(outcome, Restored), outcome
        assert all((directory / name).exists() for name in ("PG_VERSION", "global/pg_control", "base", "backup_label"))

    def test_it_writes_into_no_tablespace_of_a_live_server(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        with tablespace(cases.site, cases.empty()) as live:
            request = BackupRequest(site=cases.site)
            made = plugin.calls.call_here("hacore_backup", Backup, Failed, request=request, job=job)
            if isinstance(made, Failed):
                return  # it says that it cannot back up such a server
            before, directory, below = picture(live), cases.empty(), cases.empty()
            outcome = restore(plugin, cases.site, cast("Backup", made), directory, job, TablespacePlaces(below=str(below)))
            assert picture(live) == before
            if isinstance(outcome, Restored):
                (place,) = settled(directory).values()
                refuse_outside({"it": place}, below)
                assert {path.relative_to(place) for path in Path(place).rglob("*")} >= {path.relative_to(live) for path in before}
            with contextlib.suppress(HacoreError):
                outcome = restore(plugin, cases.site, cast("Backup", made), cases.empty(), job)
                assert not isinstance(outcome, Restored), "it has filled a directory that was not empty"
            assert picture(live) == before

    def test_a_backup_that_is_not_there_is_a_failure_with_a_reason(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        made = make_backup(plugin, cases.site, job)
        outcome = restore(plugin, cases.site, replace(made, id="base_that_never_was"), cases.empty(), job)
        assert isinstance(outcome, Failed)
        assert outcome.reason

    def test_a_repository_that_cannot_be_read_is_not_an_empty_one(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        make_backup(plugin, cases.site, job)
        cases.spoil()
        try:
            with pytest.raises(PluginUnavailableError):
                backups(plugin, cases.site)
        finally:
            cases.mend()
        assert len(backups(plugin, cases.site)) == 1

    def test_cancelling_ends_every_program_and_leaves_no_backup_that_looks_good(
        self, plugin: Plugin, cases: BackupCases, job: JobHandle, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        mark = f"kit-{uuid.uuid4()}"
        monkeypatch.setenv(NODE_VARIABLE, mark)  # what it runs by the job is marked with this
        ended: list[object] = []

        def work() -> None:
            try:
                ended.append(make_backup(plugin, cases.site, job))
            except JobCancelledError as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        until = time.monotonic() + CANCEL_S
        while not leftovers(mark) and thread.is_alive():
            assert time.monotonic() < until, "it runs no program by the job"
            time.sleep(0.01)
        job.cancel("somebody else leads")
        thread.join(CANCEL_S)
        assert ended, "it did not end"
        assert leftovers(mark) == []
        good = [one.id for one in backups(plugin, cases.site) if one.state is BackupState.OK]
        assert good == ([ended[0].id] if isinstance(ended[0], Backup) else [])

    @pytest.mark.parametrize("how", [how for how in Misbehaviour if how is not Misbehaviour.HANGS])
    def test_a_tool_that_misbehaves_is_an_error_and_not_an_answer(
        self, misbehaving: Callable[[Misbehaviour], PluginUnderTest], cases: BackupCases, job: JobHandle, how: Misbehaviour
    ) -> None:
        with built(misbehaving(how)) as plugin:
            with pytest.raises(PluginUnavailableError):
                backups(plugin, cases.site)
            with pytest.raises((PluginUnavailableError, AssertionError)):
                make_backup(plugin, cases.site, job)
            outcome = attempt_restore(plugin, cases.site, cases.empty(), job)
            assert isinstance(outcome, Failed | PluginUnavailableError), outcome

    def test_a_tool_that_hangs_is_given_up(
        self, misbehaving: Callable[[Misbehaviour], PluginUnderTest], cases: BackupCases
    ) -> None:  # fmt: skip
        with built(misbehaving(Misbehaviour.HANGS)) as plugin:
            with pytest.raises(PluginUnavailableError):
                backups(plugin, cases.site)
            until = time.monotonic() + 2 * _LIST_S
            while plugin.calls.is_stuck:
                assert time.monotonic() < until, "the plugin waits for ever for a tool that hangs"
                time.sleep(0.1)


class ExpiryConformance:
    """What a tool adds that removes backups (``hacore_expire_backups``)."""

    def test_it_removes_what_is_named_and_nothing_else(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        made = [make_backup(plugin, cases.site, job) for _ in range(3)]
        kept = tuple(one for one in backups(plugin, cases.site) if one.id != made[0].id)
        request = ExpireBackups(site=cases.site, remove=(made[0].id,), kept=kept)
        outcome = plugin.calls.call_here("hacore_expire_backups", Expired, Failed, request=request, job=job)
        assert isinstance(outcome, Expired), outcome
        assert {one.id for one in backups(plugin, cases.site)} == {one.id for one in made[1:]}
        assert isinstance(restore(plugin, cases.site, made[1], cases.empty(), job), Restored)


class VerificationConformance:
    """What a tool adds that checks a backup (``hacore_verify_backup``)."""

    def test_it_finds_a_good_backup_good(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        made = make_backup(plugin, cases.site, job)
        outcome = verify(plugin, cases.site, made, job)
        assert outcome is None or isinstance(outcome, Verified), outcome  # ``None``: it has no check of its own

    def test_a_repository_that_cannot_be_read_says_nothing_of_a_backup(self, plugin: Plugin, cases: BackupCases, job: JobHandle) -> None:
        made = make_backup(plugin, cases.site, job)
        cases.spoil()
        try:
            outcome = attempt_verify(plugin, cases.site, made, job)
        finally:
            cases.mend()
        assert outcome is None or isinstance(outcome, PluginUnavailableError), outcome

    @pytest.mark.parametrize("how", [how for how in Misbehaviour if how is not Misbehaviour.HANGS])
    def test_a_tool_that_misbehaves_finds_no_backup_bad(
        self, misbehaving: Callable[[Misbehaviour], PluginUnderTest], cases: BackupCases, job: JobHandle, how: Misbehaviour
    ) -> None:
        with built(misbehaving(how)) as plugin:
            outcome = attempt_verify(plugin, cases.site, Backup(id="LATEST"), job)
            assert not isinstance(outcome, Failed), outcome  # a verdict, by which it would be in doubt for good


def backups(plugin: Plugin, site: BackupSite) -> tuple[Backup, ...]:
    """Ask as the core does."""
    found = plugin.calls.call("hacore_list_backups", Sequence, limit_s=_LIST_S, request=ListBackups(site=site))
    assert found is not None
    return tuple(cast("Sequence[Backup]", found))


def make_backup(plugin: Plugin, site: BackupSite, job: JobHandle) -> Backup:
    """Make a backup as the core does."""
    request = BackupRequest(site=site, labels={"scope": site.context.scope, "member": site.context.member})
    outcome = plugin.calls.call_here("hacore_backup", Backup, Failed, request=request, job=job)
    assert isinstance(outcome, Backup), outcome
    return outcome


def restore(
    plugin: Plugin, site: BackupSite, backup: Backup, directory: Path, job: JobHandle, tablespaces: TablespacePlaces = _WHERE_THEY_WERE
) -> object:  # fmt: skip
    """Restore as the core does."""
    request = RestoreRequest(site=site, backup=backup, data_dir=str(directory), tablespaces=tablespaces)
    return plugin.calls.call_here("hacore_restore", Restored, Failed, request=request, job=job)


def verify(plugin: Plugin, site: BackupSite, backup: Backup, job: JobHandle) -> object:
    """Have one checked as the core does."""
    return plugin.calls.call_here("hacore_verify_backup", Verified, Failed, request=VerifyBackup(site=site, backup=backup), job=job)


def attempt_verify(plugin: Plugin, site: BackupSite, backup: Backup, job: JobHandle) -> object:
    """Have one checked as the core does, and return also what it raises on purpose."""
    try:
        return verify(plugin, site, backup, job)
    except PluginUnavailableError as error:
        return error


@contextlib.contextmanager
def tablespace(site: BackupSite, place: Path) -> Iterator[Path]:
    """Give the server a tablespace with a table, for the time of a block."""
    give_away(place)
    session = psycopg2.connect(host=site.socket_dir, port=site.port, user=site.superuser, dbname="postgres")
    session.autocommit = True
    with contextlib.closing(session), session.cursor() as cursor:
        cursor.execute("CREATE TABLESPACE kit LOCATION %s", (str(place),))
        try:
            cursor.execute("CREATE TABLE kit TABLESPACE kit AS SELECT 1")
            cursor.execute("CHECKPOINT")
            yield place
        finally:
            cursor.execute("DROP TABLE IF EXISTS kit")
            cursor.execute("DROP TABLESPACE kit")


def picture(place: Path) -> dict[Path, int]:
    """Return what lies in a directory, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


def attempt_restore(plugin: Plugin, site: BackupSite, directory: Path, job: JobHandle) -> object:
    """Restore as the core does, and return also what it raises on purpose."""
    try:
        return restore(plugin, site, Backup(id="LATEST"), directory, job)
    except PluginUnavailableError as error:
        return error
