"""What Barman prints and keeps, as values."""

import json
from datetime import UTC, datetime

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import TablespacePlaces
from hacore.interfaces import ArchiveStatus, Backup, BackupKind, BackupState
from hacore.model.lsn import Lsn
from hacore_replica_barman import wire
from hacore_replica_barman.scripts import MARK
from plugins.replica_barman.tests.samples import first_page

INFO = {
    "begin_time": "2026-11-25 19:21:46.579991+00:00",
    "begin_wal": "000000010000000000000003",
    "begin_xlog": "0/3000028",
    "deduplicated_size": "11496683",
    "end_time": "2026-11-25 19:22:01.964598+00:00",
    "end_xlog": "0/3000138",
    "size": "22993366",
    "status": "DONE",
    "systemid": "7712191379801084739",
    "tablespaces": "[('aside', 16400, '/space')]",
    "timeline": "1",
    "version": "150018",
}
ID = "20261125T192146"


def printed(infos: dict[str, dict[str, str]], *, listed: list[str] | None = None, state: str = "idle", kept: str = "") -> str:
    rows = [{"backup_id": name, "status": infos.get(name, INFO)["status"]} for name in (infos if listed is None else listed)]
    parts = [f"{MARK} {name} {kept}\n" + "".join(f"{key}={value}\n" for key, value in info.items()) for name, info in infos.items()]
    return "\n".join([json.dumps({"_WARNING": ["x"], "main": rows}), MARK, state, *parts])


def read(text: str) -> tuple[Backup, ...]:
    return wire.read_listing(text, "main", MARK).backups


def test_a_backup_has_everything_that_a_restore_is_planned_by() -> None:
    assert read(printed({ID: INFO}, kept="kept")) == (
        Backup(
            id=ID,
            kind=BackupKind.FULL,
            state=BackupState.OK,
            started_at=datetime(2026, 11, 25, 19, 21, 46, 579991, tzinfo=UTC),
            stopped_at=datetime(2026, 11, 25, 19, 22, 1, 964598, tzinfo=UTC),
            start_lsn=Lsn.parse("0/3000028"),
            stop_lsn=Lsn.parse("0/3000138"),
            timeline=1,
            system_id="7712191379801084739",
            major_version=15,
            size_bytes=22993366,
            stored_bytes=11496683,
            is_locked=True,
        ),
    )


def test_tablespaces_are_known_by_their_names_and_moved_where_they_shall_be() -> None:
    found = wire.read_listing(printed({ID: INFO}), "main", MARK)
    assert found.tablespaces == {ID: {"aside": "/space"}}
    assert found.moves(ID, TablespacePlaces()) == ()
    assert found.moves(ID, TablespacePlaces(moved={"/space": "/there"})) == ("--tablespace", "aside:/there")
    assert found.moves(ID, TablespacePlaces(below="/below")) == ("--tablespace", "aside:/below/aside")
    assert found.moves("another", TablespacePlaces(below="/below")) == ()
    assert wire.read_listing(printed({ID: {**INFO, "tablespaces": "None"}}), "main", MARK).tablespaces == {ID: {}}


def test_no_backups_are_an_empty_list() -> None:
    assert read(printed({})) == ()


@pytest.mark.parametrize(
    ("status", "lock", "state"),
    [
        ("DONE", "busy", BackupState.OK),
        ("WAITING_FOR_WALS", "idle", BackupState.RUNNING),
        ("STARTED", "busy", BackupState.RUNNING),
        ("STARTED", "idle", BackupState.FAILED),
        ("EMPTY", "idle", BackupState.FAILED),
        ("FAILED", "busy", BackupState.FAILED),
        ("WHAT_IS_TO_COME", "busy", BackupState.FAILED),
    ],
)
def test_only_what_can_be_restored_is_good_and_what_nobody_makes_any_more_has_failed(status: str, lock: str, state: BackupState) -> None:
    (found,) = read(printed({ID: {"status": status}}, state=lock))
    assert found.state is state


def test_a_list_that_leaves_out_what_is_there_is_not_believed() -> None:
    with pytest.raises(PluginUnavailableError):
        read(printed({ID: INFO}, listed=[]))
    with pytest.raises(PluginUnavailableError):
        read(printed({}, listed=[ID]))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "\x00", "{}\n" + MARK, json.dumps({"main": []}), json.dumps({"other": []}) + f"\n{MARK}\nidle"]
)
def test_what_is_not_understood_is_not_an_empty_list(text: str) -> None:
    with pytest.raises(PluginUnavailableError):
        read(text)


@pytest.mark.parametrize("wrong", [{"timeline": "one"}, {"begin_time": "then"}, {"begin_xlog": "0"}, {"tablespaces": "[("}])
def test_a_backup_that_is_not_understood_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(PluginUnavailableError):
        read(printed({ID: {**INFO, **wrong}}))


def test_wal_ends_with_its_last_segment_and_what_is_none_does_not_count() -> None:
    lines = ["000000010000000000000003", "00000002.history", "000000020000000000000007", "000000020000000000000008.partial", ".tmp"]
    assert wire.read_wal(lines) == ArchiveStatus(last_segment="000000020000000000000007")
    assert wire.read_wal([]) == ArchiveStatus()


def test_the_owner_is_read_from_the_note_or_from_a_segment() -> None:
    assert wire.read_owner('{"systemid": "7", "version": "15"}') == "7"
    for wrong in ("", "[]", "{}"):
        with pytest.raises(PluginUnavailableError):
            wire.read_owner(wrong)
    assert wire.system_id_of(first_page("7712174182608396117")[:40].hex(" ")) == "7712174182608396117"
    assert [wire.system_id_of(text) for text in ("", "zz", bytes(40).hex())] == [None, None, None]


def test_the_backup_that_is_begun_is_known_by_what_is_said() -> None:
    assert wire.begun(f"Starting backup using postgres method for server main in /var/lib/barman/main/base/{ID}") == ID
    assert wire.begun("Copy done (time: 15 seconds)") is None


def test_what_is_in_object_storage_is_read_with_the_names_that_it_was_given() -> None:
    row = {**INFO, "backup_id": ID, "backup_name": "n", "end_time": "Wed Nov 25 19:22:01 2026", "timeline": 1, "tablespaces": None}
    found = wire.read_cloud_listing(json.dumps({"backups_list": [row]}))
    assert found.backups[0].stopped_at == datetime(2026, 11, 25, 19, 22, 1, tzinfo=UTC)
    assert (found.named, found.tablespaces) == ({"n": found.backups[0]}, {ID: {}})
    assert wire.read_cloud_listing('{"backups_list": []}').backups == ()
    for wrong in ("", "[]", "{}", '{"backups_list": [{}]}', '{"backups_list": [1]}'):
        with pytest.raises(PluginUnavailableError):
            wire.read_cloud_listing(wrong)
