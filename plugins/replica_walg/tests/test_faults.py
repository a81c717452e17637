"""What goes wrong in the middle: objects cut short, a program killed, a standby promoted under its backup."""

import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hacore.guard.jobs import NODE_VARIABLE, leftovers
from hacore.hookspecs import BackupRequest, BackupSite, ListBackups, RestoreRequest
from hacore.interfaces import Backup, BackupKind, Failed, Restored
from hacore.postgres.job import JobHandle
from hacore.testing.waiting import wait_for
from plugins.replica_walg.tests.standby import standby_of
from plugins.replica_walg.tests.storages import Site
from plugins.replica_walg.tests.test_repository import built, make


def restored(site: Site, backup: Backup, directory: Path) -> object:
    request = RestoreRequest(site=site.server.backup_site(), backup=backup, data_dir=str(directory))
    return built(site).hacore_restore(request, JobHandle())


def test_a_part_that_is_cut_short_is_a_failure_and_not_a_database(served: Site) -> None:
    backup = make(built(served), served)
    parts = Path(served.storage.environment["WALG_FILE_PREFIX"]).glob("basebackups_005/*/tar_partitions/part_*")
    largest = max(parts, key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    assert isinstance(restored(served, backup, served.new_directory("restored")), Failed)


def test_a_restore_whose_program_is_killed_is_a_failure_and_succeeds_the_next_time(served: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    backup, target = make(built(served), served), served.new_directory("restored")
    mark = f"walg-{os.getpid()}"
    monkeypatch.setenv(NODE_VARIABLE, mark)
    outcome: list[object] = []
    thread = threading.Thread(target=lambda: outcome.append(restored(served, backup, target)))
    thread.start()
    for pid in wait_for(lambda: leftovers(mark), "the program runs"):
        os.kill(pid, signal.SIGKILL)
    thread.join()
    assert isinstance(outcome[0], Failed)
    shutil.rmtree(target)
    assert restored(served, backup, served.new_directory("restored")) == Restored()


def test_a_backup_of_a_standby_that_is_promoted_meanwhile_is_none(served: Site) -> None:
    with standby_of(served, "standby") as standby:
        site: BackupSite = replace(
            served.server.backup_site(), data_dir=str(standby.data), socket_dir=str(standby.directory), port=standby.port
        )
        assert isinstance(built(served).hacore_backup(BackupRequest(site=site, is_primary=False), JobHandle()), Backup)
        before = built(served).hacore_list_backups(ListBackups(site=site))
        checkpoint_in_new_segment(served)
        outcome: list[object] = []
        work = lambda: outcome.append(built(served).hacore_backup(BackupRequest(site=site, is_primary=False), JobHandle()))  # noqa: E731 - a thread's
        thread = threading.Thread(target=work)
        thread.start()
        begun = (  # what the plugin itself asks before it begins, redo_wal_file, is not meant
            "SELECT pid FROM pg_stat_activity WHERE query ~ 'pg_(backup_start|start_backup)|timeline_id FROM pg_control_checkpoint'"
            " AND pid <> pg_backend_pid()"
        )
        wait_for(lambda: standby.query(begun), "the backup has begun")
        program = wait_for(lambda: program_of(served, str(standby.data)), "the program is found")
        program.suspend()
        standby.query("SELECT pg_promote()")
        program.resume()
        thread.join()
        assert isinstance(outcome[0], Failed), outcome
        assert built(served).hacore_list_backups(ListBackups(site=site)) == before


def test_a_backup_of_a_standby_waits_until_it_takes_the_name_of_no_other(served: Site) -> None:
    with standby_of(served, "standby") as standby:
        site: BackupSite = replace(
            served.server.backup_site(), data_dir=str(standby.data), socket_dir=str(standby.directory), port=standby.port
        )
        request = BackupRequest(site=site, is_primary=False, kind=BackupKind.FULL)
        first = built(served).hacore_backup(request, JobHandle())
        assert isinstance(first, Backup)
        outcome: list[object] = []
        job = JobHandle()
        thread = threading.Thread(target=lambda: outcome.append(built(served).hacore_backup(request, job)))
        thread.start()
        wait_for(lambda: first.id in (job.told or ""), "it waits for a checkpoint")
        checkpoint_in_new_segment(served)
        thread.join()
        (second,) = outcome
        assert isinstance(second, Backup), second
        assert second.id > first.id
        assert [one.id for one in built(served).hacore_list_backups(ListBackups(site=site))] == [first.id, second.id]


def checkpoint_in_new_segment(site: Site) -> None:
    site.server.query("SELECT pg_create_restore_point('here')")
    site.server.switch_wal()
    site.server.query("CHECKPOINT")


def program_of(site: Site, data_dir: str) -> psutil.Process | None:
    """The process of ``wal-g`` that works on this directory."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "backup-push" in words and data_dir in words and str(site.walg.path) in words:
            return process
    return None
