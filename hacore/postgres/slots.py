"""Physical replication slots of members. Only what the caller names is ever dropped, and never while it is in use."""

import logging
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.steps import ReconcileSlots
from hacore.postgres.connection import Connection, QueryError

logger = logging.getLogger(__name__)

_GONE: Final = "42704"
_IN_USE: Final = "55006"
_BEHIND: Final = "55000"  # it stands further on already
_EXISTS: Final = "42710"
_IDLE: Final = ("physical", False)
_LIST: Final = "SELECT slot_name, slot_type, active FROM pg_replication_slots"


def reconcile(session: Connection, step: ReconcileSlots, *, timeout_s: float) -> None:
    """Create what is missing, drop what may go and is physical and not in use, move forward what is inactive.

    :raises PostgresUnreachableError: the server did not answer, or refused.
    """
    there = {name: (kind, active) for name, kind, active in session.query(_LIST, timeout_s=timeout_s)}
    for name in step.wanted:
        if name not in there:
            _create(session, name, timeout_s)
    for name in step.droppable:
        if there.get(name) == _IDLE and name not in step.wanted:
            _drop(session, name, timeout_s)
    for name, lsn in step.advance:
        if there.get(name) == _IDLE:
            _advance(session, name, lsn, timeout_s)


def _advance(session: Connection, name: str, lsn: Lsn, timeout_s: float) -> None:
    try:
        session.query("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", (name, str(lsn)), timeout_s=timeout_s)
    except QueryError as error:
        if error.sqlstate not in {_GONE, _IN_USE, _BEHIND}:
            raise


def _create(session: Connection, name: str, timeout_s: float) -> None:
    try:
        session.query("SELECT pg_create_physical_replication_slot(%s, true)", (name,), timeout_s=timeout_s)
    except QueryError as error:
        if error.sqlstate != _EXISTS:
            raise
    else:
        logger.info("created replication slot", extra={"slot": name})


def _drop(session: Connection, name: str, timeout_s: float) -> None:
    try:
        session.query("SELECT pg_drop_replication_slot(%s)", (name,), timeout_s=timeout_s)
    except QueryError as error:
        if error.sqlstate not in {_GONE, _IN_USE}:
            raise
    else:
        logger.info("dropped replication slot", extra={"slot": name})
