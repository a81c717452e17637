"""What the integrations reference says of WAL-G (section 2, "Measured"), held against the program that tests use, stand-in or not."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from hacore.testing.moto import Moto
from hacore.testing.waiting import wait_for
from hacore.testing.walg.binary import Walg
from tests.integration.tools.walg_site import WalgSite

SEGMENT_BYTES = 16 << 20
ONE, TWO, THREE = (f"00000001000000000000000{number}" for number in (1, 2, 3))
MISSING = 74


@pytest.fixture
def site(scratch: Path, walg: Walg) -> WalgSite:
    return WalgSite(scratch, walg)


def newest(directory: Path) -> float:
    """When a file below it was written last."""
    return max(path.stat().st_mtime for path in directory.rglob("*"))


class TestWal:
    @pytest.mark.parametrize("method", ["lz4", "lzma", "zstd", "brotli", "none"])
    def test_what_is_pushed_comes_back(self, site: WalgSite, method: str) -> None:
        content = os.urandom(1 << 16) * 256
        site.must("wal-push", str(site.file(ONE, content)), WALG_COMPRESSION_METHOD=method)
        destination = site.directory / "pg_wal" / "RECOVERYXLOG"
        site.must("wal-fetch", ONE, str(destination))
        assert destination.read_bytes() == content

    def test_an_object_is_named_by_its_file_and_its_compression(self, site: WalgSite) -> None:
        site.must("wal-push", str(site.file(ONE, b"content")))
        site.must("wal-push", str(site.file(f"{ONE}.00000028.backup", b"label")))
        assert {path.name for path in (site.repository / "wal_005").iterdir()} == {f"{ONE}.lz4", f"{ONE}.00000028.backup.lz4"}

    @pytest.mark.parametrize("name", [ONE, "00000002.history"])
    def test_what_is_missing_has_a_code_of_its_own_and_leaves_no_file(self, site: WalgSite, name: str) -> None:
        assert site.call("wal-fetch", name, str(site.directory / "gone")).returncode == MISSING
        assert not (site.directory / "gone").exists()

    def test_a_storage_that_is_not_there_is_another_failure(self, site: WalgSite) -> None:
        done = [
            site.call("wal-fetch", ONE, "gone", WALG_FILE_PREFIX=prefix) for prefix in (str(site.directory / "nowhere"), "")
        ]  # fmt: skip
        assert [one.returncode for one in done] == [1, 1]

    def test_an_object_that_is_cut_short_fails_and_leaves_an_empty_file(self, site: WalgSite) -> None:
        site.must("wal-push", str(site.file(ONE, os.urandom(1 << 20))))
        stored = site.repository / "wal_005" / f"{ONE}.lz4"
        stored.write_bytes(stored.read_bytes()[:-1000])
        destination = site.directory / "pg_wal" / "RECOVERYXLOG"
        assert site.call("wal-fetch", ONE, str(destination)).returncode == 1
        assert destination.read_bytes() == b""

    def test_other_content_is_refused_where_that_is_asked_for(self, site: WalgSite) -> None:
        path = site.file(ONE, b"first")
        pushed = [site.call("wal-push", str(path), WALG_PREVENT_WAL_OVERWRITE="true").returncode for _ in range(2)]
        site.file(ONE, b"other")
        guarded = site.call("wal-push", str(path), WALG_PREVENT_WAL_OVERWRITE="true")
        assert (pushed, guarded.returncode) == ([0, 0], 1)
        assert "already archived, contents differ" in guarded.stderr  # by which the plugin tells it from other failures
        site.must("wal-push", str(path))  # by default it overwrites
        site.must("wal-fetch", ONE, str(site.directory / "fetched"))
        assert (site.directory / "fetched").read_bytes() == b"other"

    def test_history_files_are_never_overwritten(self, site: WalgSite) -> None:
        path = site.file("00000002.history", b"1\t0/3000000\tno recovery target specified\n")
        assert [site.call("wal-push", str(path)).returncode for _ in range(2)] == [0, 0]
        site.file("00000002.history", b"1\t0/4000000\tno recovery target specified\n")
        assert site.call("wal-push", str(path)).returncode == 1

    def test_the_next_segments_are_fetched_ahead_into_the_directory_for_that(self, site: WalgSite) -> None:
        for name in (ONE, TWO, THREE):
            site.must("wal-push", str(site.file(name, name.encode() * (SEGMENT_BYTES // len(name)) + bytes(SEGMENT_BYTES % len(name)))))
        ahead = site.directory / ".wal-g" / "prefetch"
        site.must("wal-fetch", ONE, str(site.directory / "fetched"))
        wait_for(lambda: {TWO, THREE} <= {path.name for path in ahead.iterdir()} if ahead.exists() else None, "two segments are there")
        shutil.rmtree(site.repository / "wal_005")
        site.must("wal-fetch", TWO, str(site.directory / "second"))
        assert (site.directory / "second").read_bytes().startswith(TWO.encode())
        assert not (ahead / TWO).exists()

    def test_nothing_is_fetched_ahead_beside_a_server_that_wants_one_at_a_time(self, site: WalgSite) -> None:
        for name in (ONE, TWO):
            site.must("wal-push", str(site.file(name, bytes(SEGMENT_BYTES))))
        site.must("wal-fetch", ONE, str(site.directory / "fetched"), WALG_DOWNLOAD_CONCURRENCY="1")
        assert not (site.directory / ".wal-g").exists()

    def test_what_was_sealed_with_a_key_opens_with_that_key_alone(self, site: WalgSite) -> None:
        site.must("wal-push", str(site.file(ONE, b"content")), WALG_LIBSODIUM_KEY="a" * 32)
        fetch = ("wal-fetch", ONE, str(site.directory / "fetched"))
        assert [site.call(*fetch, WALG_LIBSODIUM_KEY=key).returncode for key in ("", "b" * 32, "a" * 32)] == [1, 1, 0]

    def test_settings_may_stand_in_a_file(self, site: WalgSite) -> None:
        path = site.directory / "walg.yaml"
        path.write_text(f"WALG_FILE_PREFIX: {site.repository}\nWALG_PREVENT_WAL_OVERWRITE: true\n")
        pushed = site.file(ONE, b"first")
        site.must("--config", str(path), "wal-push", str(pushed), WALG_FILE_PREFIX="")
        site.file(ONE, b"other")
        assert site.call("--config", str(path), "wal-push", str(pushed), WALG_FILE_PREFIX="").returncode == 1


class TestBackups:
    def test_no_backups_are_an_empty_list(self, site: WalgSite) -> None:
        assert json.loads(site.must("backup-list", "--json", "--detail")) == []

    def test_a_prefix_that_does_not_exist_is_an_error(self, site: WalgSite) -> None:
        site.repository.rmdir()
        assert site.call("backup-list", "--json", "--detail").returncode == 1

    @pytest.mark.parametrize("local", [True, False], ids=["of the directory", "through the server"])
    def test_a_backup_is_listed_and_restored_as_the_database_that_it_was(self, site: WalgSite, local: bool) -> None:
        with site.server() as server:
            server.query("CREATE TABLE one AS SELECT generate_series(1, 1000) AS number")
            place = [str(server.data)] if local else []
            site.must("backup-push", *place, "--add-user-data", '{"scope": "demo"}', server=server)
            (listed,) = site.backups()
            assert listed["system_identifier"] == int(server.system_id)
            assert listed["backup_name"] == f"base_{listed['wal_file_name']}"
            assert listed["start_lsn"] < listed["finish_lsn"]
            assert (listed["pg_version"] // 10000, listed["user_data"]) == (server.major_version, {"scope": "demo"})
            server.query("INSERT INTO one VALUES (0)")
            site.archive(server)
            with site.restored() as restored:
                assert restored.query("SELECT count(*) FROM one") == [(1001,)]
            assert {"backup_label", "tablespace_map", "PG_VERSION"} <= site.fetched
            assert not [name for name in site.fetched if name.endswith(".signal")]

    def test_a_delta_has_what_changed_and_is_restored_with_what_it_needs(self, site: WalgSite) -> None:
        delta = {"WALG_DELTA_MAX_STEPS": "2"}
        with site.server() as server:
            server.query("CREATE TABLE one AS SELECT generate_series(1, 1000) AS number")
            wait_for(lambda: time.time() - newest(server.data / "base") > 2, "a change of a file shows in its time")
            site.must("backup-push", str(server.data), server=server, **delta)
            server.query("INSERT INTO one VALUES (0)")
            server.query("CHECKPOINT")
            for _ in range(3):
                site.must("backup-push", str(server.data), server=server, **delta)
            full, first, second, next_full = site.backups()
            assert first["backup_name"] == f"base_{first['wal_file_name']}_D_{full['wal_file_name']}"
            assert second["backup_name"].endswith(f"_D_{first['wal_file_name']}")
            assert "_D_" not in next_full["backup_name"]
            assert first["uncompressed_size"] < full["uncompressed_size"]
            with site.restored(second["backup_name"]) as restored:
                assert restored.query("SELECT count(*) FROM one") == [(1001,)]
            assert site.call("delete", "before", first["backup_name"], "--confirm").returncode == 1
            site.must("delete", "target", first["backup_name"], "--confirm")
            assert site.names() == [full["backup_name"], next_full["backup_name"]]

    def test_it_restores_into_an_empty_directory_only_and_only_what_there_is(self, site: WalgSite) -> None:
        with site.server() as server:
            site.must("backup-push", str(server.data), server=server)
        assert site.call("backup-fetch", str(server.data), "LATEST").returncode == 1
        assert site.call("backup-fetch", str(site.directory / "copy"), "base_000000010000000000000099").returncode == 1

    def test_deleting_says_what_it_would_do_until_it_is_confirmed(self, site: WalgSite) -> None:
        with site.server() as server:
            for _ in range(3):
                site.must("backup-push", str(server.data), server=server)
            site.archive(server)
        first, second, third = site.names()
        wal = site.repository / "wal_005"
        for words in (["retain", "FULL", "1"], ["before", second], ["target", first], ["everything"], ["garbage"]):
            site.must("delete", *words)
            assert site.names() == [first, second, third]
        site.must("backup-mark", second)
        assert site.call("delete", "target", second, "--confirm").returncode == 1
        site.must("backup-mark", second, "-i")
        site.must("delete", "target", second, "--confirm")
        assert site.names() == [first, third]
        assert (wal / f"{first.removeprefix('base_')}.lz4").exists()
        site.must("delete", "before", third, "--confirm")
        assert site.names() == [third]
        assert min(path.name[:24] for path in wal.iterdir()) == third.removeprefix("base_")
        site.must("delete", "everything", "--confirm")
        assert site.backups() == []

    def test_a_backup_without_its_sentinel_is_not_listed_and_is_garbage(self, site: WalgSite) -> None:
        with site.server() as server:
            for _ in range(2):
                site.must("backup-push", str(server.data), server=server)
        first, second = site.names()
        (site.repository / "basebackups_005" / f"{first}_backup_stop_sentinel.json").unlink()
        assert site.names() == [second]
        site.must("delete", "garbage", "--confirm")
        assert not (site.repository / "basebackups_005" / first).exists()
        assert site.names() == [second]

    def test_the_verdict_on_wal_is_in_what_is_printed(self, site: WalgSite) -> None:
        with site.server() as server:
            site.must("backup-push", str(server.data), server=server)
            lost = site.archive(server)
            last = site.archive(server)
            verdict = json.loads(site.must("wal-verify", "integrity", "timeline", "--json", server=server))
            assert (verdict["integrity"]["status"], verdict["timeline"]["status"]) == ("OK", "OK")
            assert {row["status"] for row in verdict["integrity"]["details"]} == {"FOUND"}
            (site.repository / "wal_005" / f"{lost}.lz4").unlink()
            verdict = json.loads(site.must("wal-verify", "integrity", "--json", server=server, WALG_UPLOAD_CONCURRENCY="1"))
            assert verdict["integrity"]["status"] == "FAILURE"
            assert {"timeline_id": 1, "start_segment": lost, "end_segment": lost, "segments_count": 1, "status": "MISSING_LOST"} in verdict[
                "integrity"
            ]["details"]
        (shown,) = json.loads(site.must("wal-show", "--detailed-json"))
        assert (shown["id"], shown["end_segment"], shown["missing_segments"], shown["status"]) == (1, last, [lost], "LOST_SEGMENTS")


def test_a_bucket_serves_as_well_as_a_directory(scratch: Path, walg: Walg) -> None:
    with Moto(scratch) as moto:
        moto.make_bucket("wal")
        access = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        place = {"WALG_FILE_PREFIX": "", "WALG_S3_PREFIX": "s3://wal/demo", "AWS_ENDPOINT": moto.url, "AWS_S3_FORCE_PATH_STYLE": "true"}
        site = WalgSite(scratch, walg, {**access, **place})
        with site.server() as server:
            site.must("backup-push", str(server.data), server=server)
            site.archive(server)
        assert site.call("wal-fetch", "00000001000000000000FFFF", str(scratch / "gone")).returncode == MISSING
        site.must("backup-fetch", str(scratch / "copy"), "LATEST")
        assert (scratch / "copy" / "backup_label").exists()
        (name,) = site.names()
        site.must("delete", "target", name, "--confirm")
        assert site.backups() == []
