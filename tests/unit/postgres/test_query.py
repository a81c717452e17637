from datetime import datetime
from typing import Any

from hacore.model.lsn import Lsn
from hacore.model.node import Role
from hacore.postgres import query

STANDBY: dict[str, Any] = {
    "in_recovery": True,
    "version": 150014,
    "start_time": datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - AT TIME ZONE gives one without
    "system_id": "77",
    "checkpoint_lsn": "0/100",
    "redo_lsn": "0/90",
    "checkpoint_timeline": 1,
    "min_recovery_lsn": "0/200",
    "min_recovery_timeline": 2,
    "flushed_lsn": None,
    "wal_file": None,
    "received_lsn": "0/300",
    "replayed_lsn": "0/280",
    "replayed_at": None,
    "replay_paused": False,
    "receiver_status": "streaming",
    "receiver_timeline": 3,
    "receiver_lsn": "0/310",
    "primary_conninfo": "host=x",
    "primary_slot_name": "a",
    "restore_command": "",
    "slots": [["b", "physical", False, "0/80"], ["l", "logical", True, "0/70"]],
    "senders": None,
}


def answer(**changes: Any) -> query.Answer:
    return query.parse(tuple((STANDBY | changes).values()))


def test_a_standby_is_where_its_receiver_is() -> None:
    found = answer()
    assert (found.role, found.timeline, found.received_lsn, found.replication_state) == (Role.STANDBY, 3, Lsn(0x310), "streaming")
    assert found.start_time == "2026-01-02 03:04:05.000006+00:00"
    assert [(slot.name, slot.is_physical, slot.active) for slot in found.slots] == [("b", True, False), ("l", False, True)]


def test_a_standby_without_a_receiver_knows_its_timeline_from_the_control_file() -> None:
    found = answer(receiver_status=None, receiver_timeline=None, receiver_lsn=None, received_lsn=None)
    assert (found.timeline, found.received_lsn, found.replication_state) == (2, None, None)
    assert answer(receiver_status=None, restore_command="cp").replication_state == "in archive recovery"


def test_a_primary_is_on_the_timeline_that_it_writes() -> None:
    found = answer(in_recovery=False, wal_file="0000000A0000000000000003", flushed_lsn="0/400", senders=[])
    assert (found.role, found.timeline, found.flushed_lsn, found.replication_state) == (Role.PRIMARY, 10, Lsn(0x400), None)


def test_a_sender_without_address_is_one_of_this_machine() -> None:
    (sender,) = answer(senders=[["rep", "b", None, "streaming", "async", 0]]).senders
    assert (sender.application_name, sender.client_addr) == ("b", None)
