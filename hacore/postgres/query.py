"""The one query that a turn asks of a running server, and its answer as a value. Differences between versions stand in a table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore.model.lsn import Lsn
from hacore.model.node import Role, SlotState, WalSender
from hacore.postgres.connection import Row

# Column after column: name in the answer, expression. ``r`` is "in recovery", ``w`` the wal receiver, all from one statement.
_COLUMNS: Final[Mapping[str, str]] = {
    "in_recovery": "r.r",
    "version": "current_setting('server_version_num')::int",
    "start_time": "pg_postmaster_start_time()::timestamptz AT TIME ZONE 'UTC'",
    "system_id": "s.system_identifier::text",
    "checkpoint_lsn": "c.checkpoint_lsn::text",
    "redo_lsn": "c.redo_lsn::text",
    "checkpoint_timeline": "c.timeline_id",
    "min_recovery_lsn": "m.min_recovery_end_lsn::text",
    "min_recovery_timeline": "m.min_recovery_end_timeline",
    "flushed_lsn": "CASE WHEN NOT r.r THEN pg_current_wal_flush_lsn()::text END",
    "wal_file": "CASE WHEN NOT r.r THEN pg_walfile_name(pg_current_wal_insert_lsn()) END",
    "received_lsn": "CASE WHEN r.r THEN pg_last_wal_receive_lsn()::text END",
    "replayed_lsn": "CASE WHEN r.r THEN pg_last_wal_replay_lsn()::text END",
    "replayed_at": "CASE WHEN r.r THEN pg_last_xact_replay_timestamp()::timestamptz AT TIME ZONE 'UTC' END",
    "replay_paused": "CASE WHEN r.r THEN pg_is_wal_replay_paused() END",
    "receiver_status": "w.status",
    "receiver_timeline": "w.received_tli",
    "receiver_lsn": "w.flushed_lsn::text",
    "primary_conninfo": "current_setting('primary_conninfo', true)",
    "primary_slot_name": "current_setting('primary_slot_name', true)",
    "restore_command": "current_setting('restore_command', true)",
    "slots": """(SELECT json_agg(json_build_array(slot_name, slot_type, active, restart_lsn) ORDER BY slot_name)
        FROM pg_replication_slots WHERE NOT temporary)""",
    "senders": """(SELECT json_agg(
        json_build_array(usename, application_name, host(client_addr), state, sync_state, sync_priority)
        ORDER BY application_name, pid) FROM pg_stat_replication)""",
}
# (first major version, column, expression): the last that fits wins.
_SINCE: Final = ((14, "replay_paused", "CASE WHEN r.r THEN pg_get_wal_replay_pause_state() <> 'not paused' END"),)
_FROM: Final = """FROM (SELECT pg_is_in_recovery() AS r) r
    CROSS JOIN pg_control_system() s CROSS JOIN pg_control_checkpoint() c CROSS JOIN pg_control_recovery() m
    LEFT JOIN pg_stat_wal_receiver w ON true"""
_TIMELINE_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a running server says of itself, at one moment."""

    role: Role
    version: int
    start_time: str
    system_id: str
    checkpoint_lsn: Lsn
    redo_lsn: Lsn
    checkpoint_timeline: int
    min_recovery_lsn: Lsn | None
    min_recovery_timeline: int | None
    timeline: int  # of a standby that nothing streams to: as far as the control file knows
    receiver_timeline: int | None
    flushed_lsn: Lsn | None
    received_lsn: Lsn | None
    replayed_lsn: Lsn | None
    replayed_at: str | None
    replay_paused: bool
    receiver_status: str | None
    primary_conninfo: str
    primary_slot_name: str
    restore_command: str
    slots: tuple[SlotState, ...]
    senders: tuple[WalSender, ...]

    @property
    def replication_state(self) -> str | None:
        """Return how a standby gets its WAL, as the field names it; ``None`` for a primary and for a standby that gets none."""
        if self.role is Role.PRIMARY:
            return None
        if self.receiver_status == "streaming":
            return "streaming"
        return "in archive recovery" if self.restore_command else None


def statement(major: int) -> str:
    """Return the query for a server of this major version."""
    columns = dict(_COLUMNS)
    columns |= {name: expression for first, name, expression in _SINCE if major >= first}
    return f"SELECT {', '.join(columns.values())} {_FROM}"


def parse(row: Row) -> Answer:
    """Read the one row of the answer."""
    found = dict(zip(_COLUMNS, row, strict=True))
    is_standby = bool(found["in_recovery"])
    received = _newest(found["received_lsn"], found["receiver_lsn"])
    return Answer(
        role=Role.STANDBY if is_standby else Role.PRIMARY,
        version=found["version"],
        start_time=f"{found['start_time'].isoformat(sep=' ', timespec='microseconds')}+00:00",
        system_id=found["system_id"],
        checkpoint_lsn=Lsn.parse(found["checkpoint_lsn"]),
        redo_lsn=Lsn.parse(found["redo_lsn"]),
        checkpoint_timeline=found["checkpoint_timeline"],
        min_recovery_lsn=_lsn(found["min_recovery_lsn"]) or None,
        min_recovery_timeline=found["min_recovery_timeline"] or None,
        timeline=_timeline(found),
        receiver_timeline=found["receiver_timeline"] or None,
        flushed_lsn=_lsn(found["flushed_lsn"]),
        received_lsn=received,
        replayed_lsn=_lsn(found["replayed_lsn"]),
        replayed_at=f"{found['replayed_at'].isoformat(sep=' ', timespec='microseconds')}+00:00" if found["replayed_at"] else None,
        replay_paused=bool(found["replay_paused"]),
        receiver_status=found["receiver_status"],
        primary_conninfo=found["primary_conninfo"] or "",
        primary_slot_name=found["primary_slot_name"] or "",
        restore_command=found["restore_command"] or "",
        slots=tuple(_slot(item) for item in _rows(found["slots"])),
        senders=tuple(_sender(item) for item in _rows(found["senders"])),
    )


def _timeline(found: Mapping[str, Any]) -> int:
    """On a primary that of the position it writes at; the control file learns it only by the next checkpoint."""
    if found["wal_file"]:
        return int(str(found["wal_file"])[:_TIMELINE_DIGITS], 16)
    known = (found["receiver_timeline"], found["min_recovery_timeline"], found["checkpoint_timeline"])
    return max(int(timeline) for timeline in known if timeline is not None)


def _rows(value: object) -> list[list[Any]]:
    decoded = json.loads(value) if isinstance(value, str) else value
    return decoded if isinstance(decoded, list) else []


def _slot(item: list[Any]) -> SlotState:
    name, kind, active, restart = item
    return SlotState(name=name, is_physical=kind == "physical", active=active, restart_lsn=_lsn(restart))


def _sender(item: list[Any]) -> WalSender:
    usename, application, address, state, sync_state, priority = item
    return WalSender(
        usename=usename or "",
        application_name=application or "",
        client_addr=address,
        state=state or "",
        sync_state=sync_state or "",
        sync_priority=priority or 0,
    )


def _lsn(text: str | None) -> Lsn | None:
    return Lsn.parse(text) if text else None


def _newest(*texts: str | None) -> Lsn | None:
    return max((Lsn.parse(text) for text in texts if text), default=None)
