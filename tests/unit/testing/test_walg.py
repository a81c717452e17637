"""The stand-in for WAL-G where it only thinks: names of segments, what objects have in them, what is old, what is missing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import HacoreError
from hacore.testing.walg import backups, checks
from hacore.testing.walg.archive import push
from hacore.testing.walg.binary import find_walg, said_of_walg
from hacore.testing.walg.content import decode, encode, extension
from hacore.testing.walg.deleting import Deletion
from hacore.testing.walg.program import Call
from hacore.testing.walg.segments import Segment, parse, parse_history
from hacore.testing.walg.settings import WalgError
from hacore.testing.walg.storage import DirectoryStorage, open_storage

MIB = 1 << 20
SIZE = 16 * MIB
BASE = "base_0000000{}00000000000000{:02X}"


class TestSegments:
    @pytest.mark.parametrize("size", [1 * MIB, 16 * MIB, 1024 * MIB])
    def test_a_name_says_its_place_with_every_size(self, size: int) -> None:
        each = (1 << 32) // size
        for number in (0, 1, each - 1, each, 3 * each + 1):
            assert parse(Segment(2, number).name(size), size) == Segment(2, number)
        assert Segment(1, each - 1).after(1).name(size) == "000000010000000100000000"

    @pytest.mark.parametrize("name", ["00000002.history", "000000010000000000000001.partial", "RECOVERYXLOG", ""])
    def test_other_files_are_no_segments(self, name: str) -> None:
        assert parse(name, SIZE) is None

    def test_a_history_says_where_each_timeline_was_left(self) -> None:
        assert parse_history("1\t0/3000000\tno recovery target specified\n\n2\t1/0\tbefore x\n") == {1: 0x3000000, 2: 1 << 32}


class TestContent:
    @pytest.mark.parametrize("method", ["lz4", "lzma", "zstd", "brotli", "none"])
    @pytest.mark.parametrize("key", [{}, {"WALG_LIBSODIUM_KEY": "k" * 32}, {"WALG_PGP_KEY": "armoured"}])
    def test_what_goes_in_comes_out(self, method: str, key: dict[str, str]) -> None:
        settings, content = {"WALG_COMPRESSION_METHOD": method, **key}, os.urandom(1000) * 10
        stored = encode(content, settings)
        assert decode(stored, extension(settings), settings) == content
        assert not key or stored != encode(content, {"WALG_COMPRESSION_METHOD": method})

    @pytest.mark.parametrize("method", ["lz4", "lzma"])
    def test_half_of_an_object_is_none(self, method: str) -> None:
        settings = {"WALG_COMPRESSION_METHOD": method}
        stored = encode(os.urandom(1000), settings)
        with pytest.raises(WalgError):
            decode(stored[: len(stored) // 2], extension(settings), settings)

    @pytest.mark.parametrize("reader", [{}, {"WALG_LIBSODIUM_KEY": "other"}])
    def test_without_the_key_nothing_is_read(self, reader: dict[str, str]) -> None:
        stored = encode(b"content", {"WALG_LIBSODIUM_KEY": "key"})
        with pytest.raises(WalgError):
            decode(stored, ".lz4", reader)

    def test_a_change_of_what_is_sealed_is_noticed(self) -> None:
        settings = {"WALG_LIBSODIUM_KEY": "key"}
        stored = bytearray(encode(b"content", settings))
        stored[-1] ^= 1
        with pytest.raises(WalgError):
            decode(bytes(stored), ".lz4", settings)

    def test_an_unknown_method_is_an_error(self) -> None:
        with pytest.raises(WalgError):
            encode(b"", {"WALG_COMPRESSION_METHOD": "zip"})


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(tmp_path))


def add_backup(storage: DirectoryStorage, name: str, hour: int, parent: str | None = None, **metadata: Any) -> str:
    metadata = {"is_permanent": False, "finish_time": f"2026-08-01T{hour:02}:00:00.000000Z", "user_data": None, **metadata}
    origin = {"DeltaFrom": parent, "DeltaFullName": parent} if parent else {}
    backups.write_metadata(storage, name, metadata)
    storage.write(f"{backups.FOLDER}{name}{backups.SENTINEL}", json.dumps(origin).encode())
    return name


def add_wal(storage: DirectoryStorage, *names: str) -> None:
    for name in names:
        storage.write(f"wal_005/{name}.lz4", b"")


def left(storage: DirectoryStorage) -> list[str]:
    return [one.name for one in backups.read_all(storage)]


def wal(storage: DirectoryStorage) -> list[str]:
    return [name.removeprefix("wal_005/").removesuffix(".lz4") for name in storage.names("wal_005/")]


def delete(storage: DirectoryStorage, *words: str, after: str | None = None, by_time: bool = False, confirmed: bool = True) -> None:
    Deletion({}, storage, by_time=by_time, confirmed=confirmed).run(list(words), after)


class TestDeletion:
    @pytest.fixture
    def three(self, storage: DirectoryStorage) -> list[str]:
        add_wal(storage, *(Segment(1, number).name(SIZE) for number in range(1, 9)))
        return [add_backup(storage, BASE.format(1, number), number) for number in (2, 4, 6)]

    def test_before_takes_what_is_older_with_its_wal(self, storage: DirectoryStorage, three: list[str]) -> None:
        delete(storage, "before", three[1])
        assert left(storage) == three[1:]
        assert wal(storage)[0] == Segment(1, 4).name(SIZE)

    def test_before_may_be_a_time(self, storage: DirectoryStorage, three: list[str]) -> None:
        delete(storage, "before", "2026-08-01T05:00:00+00:00")
        assert left(storage) == three[2:]

    def test_retain_counts_and_keeps_what_is_after(self, storage: DirectoryStorage, three: list[str]) -> None:
        delete(storage, "retain", "1", after=three[1])
        assert left(storage) == three[1:]
        delete(storage, "retain", "1")
        assert left(storage) == three[2:]

    def test_retain_by_names_takes_the_newest_where_a_timeline_began_anew(self, storage: DirectoryStorage) -> None:
        old, new = add_backup(storage, BASE.format(3, 9), 1), add_backup(storage, BASE.format(1, 2), 2)
        delete(storage, "retain", "1", confirmed=False)
        delete(storage, "retain", "1", by_time=True, confirmed=False)
        assert left(storage) == [old, new]
        delete(storage, "retain", "1")
        assert left(storage) == [old]  # why the plugin never uses it

    def test_a_permanent_backup_keeps_itself_and_its_wal(self, storage: DirectoryStorage, three: list[str]) -> None:
        backups.mark(storage, three[0], is_permanent=True)
        delete(storage, "before", three[2])
        assert left(storage) == [three[0], three[2]]
        assert wal(storage)[0] == Segment(1, 2).name(SIZE)
        for words in (("target", three[0]), ("everything",)):
            with pytest.raises(WalgError):
                delete(storage, *words)
        delete(storage, "everything", "FORCE")
        assert left(storage) == []

    def test_increments_go_with_what_they_were_made_of(self, storage: DirectoryStorage, three: list[str]) -> None:
        delta = add_backup(storage, f"{BASE.format(1, 7)}_D_{three[2].removeprefix('base_')}", 7, three[2])
        with pytest.raises(WalgError):
            delete(storage, "before", delta)
        delete(storage, "before", "FIND_FULL", delta)
        assert left(storage) == [three[2], delta]
        delete(storage, "target", "FIND_FULL", delta)
        assert left(storage) == []

    def test_garbage_is_what_was_never_finished_and_wal_before_everything(self, storage: DirectoryStorage, three: list[str]) -> None:
        storage.write(f"{backups.FOLDER}{BASE.format(1, 3)}/tar_partitions/part_001.tar.lz4", b"")
        delete(storage, "garbage", "BACKUPS")
        assert not storage.names(f"{backups.FOLDER}{BASE.format(1, 3)}")
        assert len(wal(storage)) == 8
        delete(storage, "garbage", "ARCHIVES")
        assert (left(storage), wal(storage)[0]) == (three, Segment(1, 2).name(SIZE))

    @pytest.mark.parametrize("words", [(), ("retain",), ("retain", "many"), ("before", "yesterday"), ("target", "base_x"), ("some",)])
    def test_what_is_not_understood_removes_nothing(self, storage: DirectoryStorage, three: list[str], words: tuple[str, ...]) -> None:
        with pytest.raises(WalgError):
            delete(storage, *words)
        assert left(storage) == three


class TestVerdict:
    def test_wal_is_followed_back_across_timelines(self, storage: DirectoryStorage, tmp_path: Path) -> None:
        history = tmp_path / "00000002.history"
        history.write_text("1\t0/4000100\tno recovery target specified\n")
        push({}, storage, history)
        found = list(checks._lineage({}, storage, Segment(2, 6), 2))
        assert found == [Segment(2, 5), Segment(2, 4), Segment(1, 3), Segment(1, 2)]

    def test_what_is_missing_at_the_end_may_be_on_its_way_and_what_is_before_is_lost(self) -> None:
        segments = [Segment(1, number) for number in range(9, 0, -1)]
        settings = {"WALG_INTEGRITY_MAX_DELAYED_WALS": "1", "WALG_UPLOAD_CONCURRENCY": "2"}
        judged = dict(checks._judged(settings, segments, {Segment(1, 7), Segment(1, 6), Segment(1, 4)}))
        assert [judged[segment] for segment in segments] == [
            "MISSING_DELAYED", "MISSING_UPLOADING", "FOUND", "FOUND", "MISSING_LOST", "FOUND", *["MISSING_LOST"] * 3,
        ]  # fmt: skip


class TestCommandLine:
    def test_options_stand_anywhere(self) -> None:
        call = Call(["--config=/c", "delete", "--confirm", "retain", "FULL", "--after", "x", "3"])
        assert call.words == ["delete", "retain", "FULL", "3"]
        assert call.options == {"--config": "/c", "--confirm": "", "--after": "x"}

    @pytest.mark.parametrize("words", [["backup-list", "--jsn"], ["wal-fetch", "--config"]])
    def test_what_is_misspelt_is_an_error(self, words: list[str]) -> None:
        with pytest.raises(WalgError):
            Call(words)

    @pytest.mark.parametrize(
        "settings",
        [{}, {"WALG_FILE_PREFIX": "/", "WALG_S3_PREFIX": "s3://b"}, {"WALG_GS_PREFIX": "gs://b"}, {"WALG_FILE_PREFIX": "/nowhere"}],
    )
    def test_exactly_one_storage_must_be_there(self, settings: dict[str, str]) -> None:
        with pytest.raises(WalgError):
            open_storage(settings)


class TestWhich:
    def test_the_one_that_is_named_wins_over_the_path_and_the_path_over_the_stand_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named, found = tmp_path / "named", tmp_path / "bin" / "wal-g"
        found.parent.mkdir()
        for path in (named, found):
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        monkeypatch.delenv("WALG_BINARY", raising=False)
        monkeypatch.setenv("PATH", "/nowhere")
        assert find_walg(tmp_path).is_stand_in
        assert "stand-in" in said_of_walg()
        monkeypatch.setenv("PATH", str(found.parent))
        assert find_walg(tmp_path).path == found
        monkeypatch.setenv("WALG_BINARY", str(named))
        assert find_walg(tmp_path).path == named
        assert said_of_walg() == str(named)
        monkeypatch.setenv("WALG_BINARY", str(tmp_path / "gone"))
        with pytest.raises(HacoreError):
            find_walg(tmp_path)
