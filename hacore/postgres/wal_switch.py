"""Ending a WAL segment of a primary early, so that it is archived, and asking whether it was."""

from contextlib import closing, suppress
from typing import Final

from hacore.errors import PostgresUnreachableError
from hacore.model.lsn import Lsn
from hacore.postgres.archiver import ready_files
from hacore.postgres.instance import Instance

_ANSWER_S: Final = 5.0
_NAME_BYTES: Final = 63  # of a restore point
_SEGMENT_CHARS: Final = 24
_MARK: Final = "SELECT pg_create_restore_point(%s)::text"
_FILE: Final = "SELECT pg_walfile_name(%s)"
_SWITCH: Final = "SELECT pg_switch_wal()"
_ARCHIVES: Final = """SELECT current_setting('archive_mode') <> 'off'
    AND (current_setting('archive_command') <> '' OR coalesce(current_setting('archive_library', true), '') <> '')"""


def switch_wal(instance: Instance, name: str) -> str:
    """Write a restore point, end the segment in which it stands, and return the file's name: everything before is in it or earlier.

    Without a record of its own a switch does nothing where a segment has just begun, and a recovery to the end of a backup would find
    nothing to stop at.

    :raises PostgresUnreachableError: the server did not answer, or refused.
    """
    point = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    with closing(instance.session(statement_timeout_s=_ANSWER_S)) as session:
        end = Lsn.parse(session.query(_MARK, (point,), timeout_s=_ANSWER_S)[0][0])
        last = Lsn(end - 1)  # a record may end where its segment does, and versions differ in what they call that position
        segment: str = session.query(_FILE, (str(last),), timeout_s=_ANSWER_S)[0][0]
        session.query(_SWITCH, timeout_s=_ANSWER_S)
    return segment


def ask_for_checkpoint(instance: Instance) -> None:
    """Have a checkpoint made in the segment that begins, so that the next backup of a standby begins there and not where the last one did.

    It goes on when nobody waits for it any more.
    """
    with suppress(PostgresUnreachableError), closing(instance.session(statement_timeout_s=_ANSWER_S)) as session:
        session.query("CHECKPOINT", timeout_s=_ANSWER_S)


def is_archived(instance: Instance, segment: str) -> bool:
    """Tell whether a segment that has ended, and all before it, wait for the archiver no more; where nothing is archived, nothing waits.

    A switch comes back when the segment is marked as to be archived, and the mark stays until the archiver has succeeded.

    :raises HacoreError: the server did not answer, or the marks cannot be read.
    """
    return all(name[:_SEGMENT_CHARS] > segment for name in ready_files(instance.layout.wal_dir)) or not archives(instance)


def archives(instance: Instance) -> bool:
    """Tell whether the server archives anything.

    :raises PostgresUnreachableError: the server did not answer.
    """
    with closing(instance.session(statement_timeout_s=_ANSWER_S)) as session:
        found: bool = session.query(_ARCHIVES, timeout_s=_ANSWER_S)[0][0]
    return found
