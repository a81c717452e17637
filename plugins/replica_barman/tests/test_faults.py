"""What goes wrong with Barman or on the way to it: by the hooks and the programs, on the real one."""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hacore.errors import JobCancelledError, PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, BackupRequest, BackupSite, ListBackups, ReplicaRequest
from hacore.interfaces import ArchiveConflict, ArchiveOwned, BackupState, Identity
from hacore.postgres.job import JobHandle
from hacore.testing.barman import barman_user
from hacore.testing.conformance.archive import Programs
from hacore.testing.conformance.plugin import CONTEXT
from hacore.testing.waiting import wait_for
from hacore_replica_barman import work
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.schema import BarmanSchema
from plugins.replica_barman.tests.samples import first_page
from plugins.replica_barman.tests.sites import PATIENCE_S, Site

pytestmark = [pytest.mark.timeout(600)]

THERE, ABSENT = "000000010000000000000001", "000000010000000000000002"


@pytest.fixture
def asked(scratch: Path) -> ArchiveRequest:
    data = scratch / "data"
    (data / "pg_wal").mkdir(parents=True)
    return ArchiveRequest(
        context=CONTEXT,
        identity=Identity(system_id="7", major_version=15, scope="kit"),
        data_dir=str(data),
        environment={"PATH": os.defpath},
    )


def programs(plugin: BarmanPlugin, asked: ArchiveRequest) -> Programs:
    return Programs(plugin.hacore_archive_settings(asked), Path(asked.data_dir))


@pytest.fixture
def filled(site: Site, asked: ArchiveRequest) -> Programs:
    """An archive with one segment, and no other."""
    found = programs(site.plugin(), asked)
    assert found.push(THERE, first_page("7")) == 0
    assert [found.fetch(name)[0] for name in (THERE, ABSENT)] == [0, 1]
    return found


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Barman may not look into it."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(mode)


def both_broken(found: Programs) -> bool:
    return all(code not in {0, 1} and not content for code, content in map(found.fetch, (THERE, ABSENT)))


def test_a_host_that_is_away_is_broken_and_never_missing(site: Site, filled: Programs, asked: ArchiveRequest) -> None:
    plugin = site.plugin()
    site.sshd.stop()
    try:
        assert both_broken(filled)
        assert filled.push("000000010000000000000003", first_page("7")) not in {0, 3, *range(126, 256)}
        with pytest.raises(PluginUnavailableError):
            plugin.hacore_archive_identity(asked)
        request = ReplicaRequest(context=CONTEXT, method="barman", source=None, data_dir="/nowhere", environment={"PATH": os.defpath})
        with pytest.raises(PluginUnavailableError):  # to the core: the next method
            plugin.hacore_replica_offer(request)
    finally:
        site.sshd.start()
    assert [filled.fetch(name)[0] for name in (THERE, ABSENT)] == [0, 1]


def test_what_barman_may_not_read_is_broken_and_never_missing(site: Site, filled: Programs) -> None:
    for path in (site.barman.server_directory, site.barman.server_directory / "wals"):
        with closed(path):
            assert filled.fetch(ABSENT)[0] not in {0, 1}


def test_wal_that_is_gone_while_there_are_backups_is_broken(site: Site, filled: Programs) -> None:
    site.barman.pause()
    wals = site.barman.server_directory / "wals"
    try:
        (wals / "xlog.db").unlink(missing_ok=True)
        backup = site.barman.server_directory / "base" / "20261125T192146"
        backup.mkdir()
        (backup / "backup.info").write_text("status=DONE\n")
        assert filled.fetch(ABSENT)[0] not in {0, 1}
    finally:
        site.barman.resume()


@pytest.mark.parametrize("wrong", [{"server": "other"}, {"config": "/nowhere/barman.conf"}, {"program": "/nowhere/sudo"}])
def test_settings_that_are_wrong_never_push_and_never_find_an_end_of_wal(
    site: Site, filled: Programs, asked: ArchiveRequest, wrong: dict[str, str]
) -> None:
    more = {"backup_directory": str(site.barman.home / "other")} if "server" in wrong else {}
    found = programs(site.plugin(**wrong, **more), asked)
    assert found.fetch(THERE)[0] not in {0, 1}
    assert found.push(ABSENT, first_page("7")) not in {0, 3}
    with pytest.raises(PluginUnavailableError):
        site.plugin(**wrong, **more).hacore_list_backups(ListBackups(site=BackupSite(context=asked.context, environment=asked.environment)))


def test_a_home_that_is_not_mounted_gets_nothing(site: Site, filled: Programs) -> None:
    site.barman.spoil()
    try:
        assert filled.push("000000010000000000000003", first_page("7")) not in {0, 3}
        assert not site.barman.home.exists()  # put-wal itself would make it
    finally:
        site.barman.mend()
    assert filled.fetch(THERE)[0] == 0


def test_barman_on_this_machine_is_spoken_to_without_ssh(site: Site, asked: ArchiveRequest) -> None:
    program = "/usr/sbin/runuser -u barman --" if barman_user() else ""
    section = {name: value for name, value in site.barman.section().items() if name not in {"host", "port", "ssh_dir"}}
    section |= {"program": program} if program else {}
    plugin = BarmanPlugin(BarmanSchema().load(section))
    found = programs(plugin, asked)
    content = first_page("7")
    assert [found.push(THERE, content) for _ in range(2)] == [0, 0]
    assert found.fetch(THERE) == (0, content)
    assert found.fetch(ABSENT) == (1, b"")
    assert plugin.hacore_list_backups(ListBackups(site=BackupSite(context=asked.context, environment=asked.environment))) == ()
    assert plugin.hacore_archive_identity(asked) == ArchiveOwned()


def test_a_backup_that_is_cancelled_ends_on_barmans_host_too(served: Site) -> None:
    plugin, job, ended = served.plugin(), JobHandle(), threading.Event()

    def work() -> None:
        with contextlib.suppress(JobCancelledError):
            plugin.hacore_backup(BackupRequest(site=served.server.backup_site()), job)
        ended.set()

    threading.Thread(target=work).start()
    copies = served.barman.server_directory / "base"
    wait_for(lambda: list(copies.glob("*/backup.info")), "the backup has begun", deadline_s=PATIENCE_S)
    assert making(served)
    job.cancel("somebody else leads")
    assert ended.wait(PATIENCE_S)
    wait_for(lambda: not making(served), "nobody makes it any more")
    (left,) = served.backups()
    assert left.state is BackupState.FAILED


def making(site: Site) -> list[psutil.Process]:
    """The processes of ``barman backup`` with this test's configuration."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if str(site.barman.config) in words and "backup" in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_segment_tells_whose_wal_it_is(site: Site, filled: Programs, asked: ArchiveRequest) -> None:
    plugin = site.plugin()
    assert plugin.hacore_archive_identity(asked) == ArchiveOwned()
    stranger = replace(asked, identity=replace(asked.identity, system_id="8"))
    assert isinstance(plugin.hacore_archive_identity(stranger), ArchiveConflict)


def test_what_recover_has_changed_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "postgresql.conf").write_text("#BARMAN#archive_command = 'x'\narchive_command = false\n")
    (tmp_path / "postgresql.conf.origin").write_text("archive_command = 'x'\n")
    (tmp_path / "postgresql.auto.conf").write_text("archive_command = false\n")
    (tmp_path / "postgresql.auto.conf.origin").write_text("work_mem = '4MB'\n")
    for name in ("backup_manifest.20261125T192146", ".barman-recover.info", "recovery.signal"):
        (tmp_path / name).touch()
    work.put_back(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "postgresql.conf": "archive_command = 'x'\n",
        "postgresql.auto.conf": "work_mem = '4MB'\n",
    }
