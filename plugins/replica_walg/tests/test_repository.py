"""Whose a repository is, a storage that does not answer, and what is done to backups: by the hooks, on real servers."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.errors import DataDirectoryError, PluginUnavailableError
from hacore.hookspecs import BackupRequest, ExpireBackups, ListBackups, ReplicaRequest, RestoreRequest, TablespacePlaces, VerifyBackup
from hacore.interfaces import (
    ArchiveConflict,
    ArchiveOwned,
    Backup,
    BackupKind,
    Created,
    Expired,
    Failed,
    Offer,
    Refusal,
    Restored,
    Verified,
)
from hacore.postgres.job import JobHandle
from hacore.testing.conformance.plugin import CONTEXT
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away
from hacore_replica_walg.plugin import WalgPlugin
from hacore_replica_walg.schema import WalgSchema
from plugins.replica_walg.tests.storages import Site

KEY = "0123456789abcdef0123456789abcdef"


def built(site: Site, *, environment: dict[str, object] | None = None, **more: object) -> WalgPlugin:
    section = site.section(**more)
    section["environment"] = {**site.storage.environment, **(environment or {})}
    return WalgPlugin(WalgSchema().load(section))


def make(plugin: WalgPlugin, site: Site, kind: BackupKind = BackupKind.AUTO, scope: str = "kit") -> Backup:
    request = BackupRequest(site=site.server.backup_site(), kind=kind, labels={"scope": scope})
    made = plugin.hacore_backup(request, JobHandle())
    assert isinstance(made, Backup), made
    return made


def listed(plugin: WalgPlugin, site: Site) -> list[Backup]:
    return list(plugin.hacore_list_backups(ListBackups(site=site.server.backup_site())))


def expire(plugin: WalgPlugin, site: Site, *remove: Backup) -> Expired | Failed:
    kept = tuple(one for one in listed(plugin, site) if one not in remove)
    request = ExpireBackups(site=site.server.backup_site(), remove=tuple(one.id for one in remove), kept=kept)
    return plugin.hacore_expire_backups(request, JobHandle())


class TestWhose:
    def test_wal_alone_tells_whose_it_is(self, served: Site) -> None:
        plugin = built(served)
        assert plugin.hacore_archive_identity(served.server.archive_request()) == ArchiveOwned()
        other = plugin.hacore_archive_identity(served.server.archive_request(system_id="1"))
        assert isinstance(other, ArchiveConflict)
        assert served.server.system_id in other.owner

    def test_a_backup_tells_it_and_a_clone_is_another_cluster(self, served: Site) -> None:
        plugin = built(served)
        make(plugin, served, scope="kit")
        assert plugin.hacore_archive_identity(served.server.archive_request()) == ArchiveOwned()
        clone = plugin.hacore_archive_identity(served.server.archive_request(served.server.context(scope="clone")))
        assert isinstance(clone, ArchiveConflict)
        assert isinstance(plugin.hacore_archive_identity(served.server.archive_request(system_id="1")), ArchiveConflict)
        served.push_backup()  # by hand, without a label
        clone = plugin.hacore_archive_identity(served.server.archive_request(served.server.context(scope="clone")))
        assert isinstance(clone, ArchiveConflict)

    def test_another_clusters_prefix_makes_no_standby(self, served: Site) -> None:
        served.push_backup()
        request = ReplicaRequest(context=CONTEXT, method="walg", source=None, data_dir=str(served.directory / "new"), system_id="1")
        assert isinstance(built(served).hacore_replica_offer(request), Refusal)


class TestNoAnswer:
    @pytest.fixture
    def deaf(self, site: Site) -> Iterator[Site]:
        """An S3 endpoint that accepts connections and never answers."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            site.storage.environment = {"WALG_S3_PREFIX": "s3://wal/demo", "AWS_ENDPOINT": endpoint, "AWS_REGION": "us-east-1"}
            site.storage.environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_S3_FORCE_PATH_STYLE": "true"}
            yield site

    def test_every_question_ends_in_time_and_leaves_no_process(self, deaf: Site, archiving: PlainServer) -> None:
        plugin = built(deaf, query_timeout=2)
        for ask in (
            lambda: plugin.hacore_archive_identity(archiving.archive_request()),
            lambda: plugin.hacore_archive_status(archiving.archive_request()),
            lambda: plugin.hacore_list_backups(ListBackups(site=archiving.backup_site())),
        ):
            began = time.monotonic()
            with pytest.raises(PluginUnavailableError):
                ask()
            assert time.monotonic() - began < 10  # the limit of the hook
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(deaf.walg.path).encode() in read(path)]

    def test_the_settings_of_the_archive_do_not_wait(self, deaf: Site, archiving: PlainServer) -> None:
        settings = built(deaf, push_timeout="2min", fetch_timeout=60).hacore_archive_settings(archiving.archive_request())
        assert (settings.push_limit_s, settings.fetch_limit_s) == (120, 60)
        assert (settings.missing_codes, settings.conflict_codes) == ((74,), (3,))
        assert dict(settings.parameters) == {"archive_timeout": "300"}


class TestBackups:
    def test_increments_are_made_as_the_settings_say_or_the_schedule(self, served: Site) -> None:
        plugin = built(served, environment={"WALG_DELTA_MAX_STEPS": 3})
        full = make(plugin, served)
        first, second = make(plugin, served), make(plugin, served, BackupKind.INCREMENTAL)
        differential = make(plugin, served, BackupKind.DIFFERENTIAL)
        assert [one.parent for one in (full, first, second, differential)] == [None, full.id, first.id, full.id]
        assert make(plugin, served, BackupKind.FULL).parent is None
        assert [one.kind for one in (full, first)] == [BackupKind.FULL, BackupKind.INCREMENTAL]
        target = served.new_directory("restored")
        request = RestoreRequest(site=served.server.backup_site(), backup=second, data_dir=str(target))
        assert plugin.hacore_restore(request, JobHandle()) == Restored()
        assert (target / "backup_label").exists()

    def test_what_others_were_made_of_stays_with_them(self, served: Site) -> None:
        plugin = built(served, environment={"WALG_DELTA_MAX_STEPS": 1})
        full, delta, last = make(plugin, served), make(plugin, served), make(plugin, served, BackupKind.FULL)
        assert isinstance(expire(plugin, served, full), Failed)
        assert [one.id for one in listed(plugin, served)] == [full.id, delta.id, last.id]
        assert isinstance(expire(plugin, served, full, delta), Expired)
        assert [one.id for one in listed(plugin, served)] == [last.id]

    def test_wal_goes_with_the_backups_that_needed_it_and_not_before(self, served: Site) -> None:
        plugin = built(served)
        first, second, third = (make(plugin, served) for _ in range(3))
        segments = [one.id.removeprefix("base_") for one in (first, second, third)]
        assert isinstance(expire(plugin, served, second), Expired)
        assert [served.has_wal(name) for name in segments] == [True, True, True]
        assert isinstance(expire(plugin, served, first), Expired)
        assert [served.has_wal(name) for name in segments] == [False, False, True]

    def test_nothing_goes_where_the_list_has_changed_or_a_person_keeps_it(self, served: Site) -> None:
        plugin = built(served)
        first, second = make(plugin, served), make(plugin, served)
        lost = replace(second, id="base_000000010000000000000001")
        request = ExpireBackups(site=served.server.backup_site(), remove=(first.id,), kept=(lost,))
        assert isinstance(plugin.hacore_expire_backups(request, JobHandle()), Failed)
        served.call("backup-mark", first.id)
        assert [one.is_locked for one in listed(plugin, served)] == [True, False]
        assert isinstance(expire(plugin, served, first), Failed)
        assert len(listed(plugin, served)) == 2

    def test_lost_wal_makes_a_backup_bad_although_the_program_ends_well(self, served: Site) -> None:
        plugin = built(served, environment={"WALG_UPLOAD_CONCURRENCY": 1})
        backup = make(plugin, served)
        lost = served.archive()
        served.archive()
        request = VerifyBackup(site=served.server.backup_site(), backup=backup)
        assert isinstance(plugin.hacore_verify_backup(request, JobHandle()), Verified)
        repository = Path(served.storage.environment["WALG_FILE_PREFIX"])
        (repository / "wal_005" / f"{lost}.lz4").unlink()
        assert isinstance(plugin.hacore_verify_backup(request, JobHandle()), Failed)
        later = make(plugin, served)
        assert isinstance(plugin.hacore_verify_backup(replace(request, backup=later), JobHandle()), Verified)

    def test_a_key_and_a_method_reach_the_program_and_nobody_reads_without(self, served: Site) -> None:
        sealed = built(served, environment={"WALG_LIBSODIUM_KEY": KEY, "WALG_COMPRESSION_METHOD": "lzma"})
        backup = make(sealed, served)
        parts = list(Path(served.storage.environment["WALG_FILE_PREFIX"]).glob("basebackups_005/*/tar_partitions/*"))
        assert parts
        assert {part.suffix for part in parts} == {".lzma"}
        for number, (plugin, wanted) in enumerate([(built(served), Failed), (sealed, Restored)]):
            target = served.new_directory(f"restored{number}")
            request = RestoreRequest(site=served.server.backup_site(), backup=backup, data_dir=str(target))
            assert isinstance(plugin.hacore_restore(request, JobHandle()), wanted)

    def test_tablespaces_are_restored_where_they_shall_be(self, served: Site) -> None:
        place = served.server.directory / f"space{os.getpid()}"
        place.mkdir()
        give_away(place)
        served.server.query(f"CREATE TABLESPACE aside LOCATION '{place}'")
        try:
            served.server.query("CREATE TABLE aside TABLESPACE aside AS SELECT 1")
            plugin = built(served)
            backup = make(plugin, served)
            target, moved = served.new_directory("restored"), served.directory / "moved"
            request = RestoreRequest(
                site=served.server.backup_site(),
                backup=backup,
                data_dir=str(target),
                tablespaces=TablespacePlaces(moved={str(place): str(moved)}),
            )
            assert plugin.hacore_restore(request, JobHandle()) == Restored()
            assert any(moved.rglob("PG_*"))
            assert [link.resolve() for link in (target / "pg_tblspc").iterdir()] == [moved]
            replica = replace(request, data_dir=str(served.new_directory("beside")), tablespaces=TablespacePlaces())
            with pytest.raises(DataDirectoryError, match="not empty"):  # those of the server that runs
                plugin.hacore_restore(replica, JobHandle())
        finally:
            served.server.query("DROP TABLE aside")
            served.server.query("DROP TABLESPACE aside")


def test_a_standby_made_of_a_backup_is_this_database_and_nothing_is_fetched_into_its_wal(served: Site) -> None:
    plugin, server = built(served, threshold_backup_size_percentage=500), served.server
    server.query("CREATE TABLE IF NOT EXISTS one (number int)")
    server.query("TRUNCATE one")
    make(plugin, served)
    server.query("INSERT INTO one SELECT generate_series(1, 1000)")
    for _ in range(3):
        last = served.archive()
    home = served.new_directory("standby")
    copy = PlainServer(home, server.port)  # of another directory: the sockets lie apart, and it listens nowhere else
    request = server.replica_request("walg", copy.data)
    offer = plugin.hacore_replica_offer(request)
    assert isinstance(offer, Offer), offer
    assert plugin.hacore_create_replica(request, offer, JobHandle()) == Created()
    archive = plugin.hacore_archive_settings(replace(server.archive_request(), data_dir=str(copy.data)))
    script = home / "fetch.sh"
    exports = "".join(f"export {name}='{value}'\n" for name, value in archive.environment)
    script.write_text(f"#!/bin/sh\n{exports}exec {' '.join(archive.fetch).replace('%f', '$1').replace('%p', '$2')}\n")
    script.chmod(0o755)
    (copy.data / "standby.signal").touch()
    for path in (home, home.parent, *copy.data.rglob("*"), copy.data):
        give_away(path)
    copy.configure(
        {"unix_socket_directories": str(home), "listen_addresses": "", "archive_mode": "off", "restore_command": f"{script} %f %p"}
    )
    try:
        copy.start()
        wait_for(lambda: copy.query("SELECT count(*) FROM one") == [(1000,)], f"WAL up to {last} is replayed")
        assert copy.query("SELECT pg_is_in_recovery()") == [(True,)]
        assert not (copy.data / "pg_wal" / ".wal-g").exists()
        assert Path(f"{copy.data}.wal-g").exists()
    finally:
        copy.close()


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
