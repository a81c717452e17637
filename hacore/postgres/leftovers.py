"""Pushing what a former primary has not archived yet, before its WAL is changed, removed or recycled (integrations reference 1.3).

A standby recycles segments whether they wait for the archive or not, and nobody else may have them: the next primary takes those
that it has streamed for archived.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hacore.errors import ArchiveConflictError
from hacore.interfaces import Finished
from hacore.postgres.archive_parameters import COMMAND
from hacore.postgres.archiver import mark_done, ready_files
from hacore.postgres.files import read_if_there, write_durably
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.marks import filled

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 60.0  # without a single success: an archive that is away does not keep a node out of its cluster
_AGAIN_S: Final = 1.0
_KILL_S: Final = 10.0
_TOLD: Final = 300
_DISABLED: Final = "(disabled)"
_CONFLICT: Final = "archive.conflict"  # below the state directory: a file of which the archive had another; counts while that waits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pusher:
    """How one file is pushed: the program, or a person's own command, with ``%p`` and ``%f`` as PostgreSQL has them."""

    argv: tuple[str, ...]
    conflict_codes: tuple[int, ...] = ()

    def words(self, name: str) -> list[str]:
        return [filled(word, {"%p": f"pg_wal/{name}", "%f": name}) for word in self.argv]


def push_leftovers(instance: Instance, job: JobHandle, *, stops_at_conflict: bool, patience_s: float = _PATIENCE_S) -> None:
    """Push every file that waits, while the server is down or a standby; what cannot be pushed stays, and is said.

    :param patience_s: after so long without a success the rest is left.
    :raises ArchiveConflictError: with ``stops_at_conflict``: the archive has another file of the same name, or had when it last answered.
    :raises JobCancelledError: the work was cancelled.
    """
    names = ready_files(instance.layout.wal_dir)
    pusher = _pusher(instance) if names else None
    if pusher is not None:
        _push_all(instance, job, pusher, names, stops_at_conflict=stops_at_conflict, patience_s=patience_s)
    if stops_at_conflict:
        _refuse_known_conflict(instance)


def _push_all(
    instance: Instance, job: JobHandle, pusher: _Pusher, names: Sequence[str], *, stops_at_conflict: bool, patience_s: float
) -> None:  # fmt: skip
    until = time.monotonic() + patience_s
    for number, name in enumerate(names):
        job.progress(f"pushes WAL that waits: {number} of {len(names)}")
        finished = _push(instance, job, pusher, name, until)
        if finished.exit_code == 0:
            mark_done(instance.layout.wal_dir, name)
            until = time.monotonic() + patience_s
            continue
        facts = {"file": name, "code": finished.exit_code, "said": finished.output.strip()[-_TOLD:], "left": len(names) - number}
        if finished.exit_code not in pusher.conflict_codes:
            logger.warning("WAL of the time as primary is not archived", extra=facts)
            return
        write_durably(instance.layout.state_dir / _CONFLICT, name)
        if stops_at_conflict:
            raise ArchiveConflictError(
                f"{name}: the archive has another file of this name: {facts['said'] or 'two primaries have archived there'}"
            )
        logger.error("the archive has another file of the same name", extra=facts)
    logger.info("WAL that waited was pushed", extra={"files": len(names)})


def _refuse_known_conflict(instance: Instance) -> None:
    """An archive that does not answer now has taken nothing back."""
    name = read_if_there(instance.layout.state_dir / _CONFLICT)
    if name is not None and name in ready_files(instance.layout.wal_dir):
        raise ArchiveConflictError(f"{name}: the archive had another file of this name, and takes nothing now")


def _push(instance: Instance, job: JobHandle, pusher: _Pusher, name: str, until: float) -> Finished:
    """Try until it is done, refused for good, or the time is over."""
    data_dir = str(instance.layout.data_dir)
    while True:
        left_s = max(until - time.monotonic(), 1.0)
        argv = ["timeout", "-k", f"{_KILL_S:g}", f"{left_s:.1f}", *pusher.words(name)]
        finished = job.run(argv, environment=instance.server_environment(), cwd=data_dir)
        if finished.exit_code in {0, *pusher.conflict_codes} or time.monotonic() + _AGAIN_S >= until:
            return finished
        job.wait(_AGAIN_S)


def _pusher(instance: Instance) -> _Pusher | None:
    """Return how this server pushes; ``None``: it does not, or may not."""
    if not instance.archiving.is_wanted:
        command = instance.programs.run(
            "postgres", "-D", str(instance.layout.data_dir), f"--config-file={instance.layout.conf}", "-C", COMMAND
        ).stdout.strip()
        return None if command in {"", _DISABLED} else _Pusher(argv=("sh", "-c", command))
    control = instance.control.read(instance.programs).control
    instance.archiving.write(control)
    shim = instance.archiving.shim(control)
    if shim is None or shim.held is not None:
        reason = "its plugin does not answer" if shim is None else shim.held
        logger.warning("WAL of the time as primary is not archived", extra={"reason": reason})
        return None
    return _Pusher(argv=(str(shim.push_program).replace("%", "%%"), "%p", "%f"), conflict_codes=shim.settings.conflict_codes)
