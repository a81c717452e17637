"""Replica method ``basebackup``: a copy of a running server by pg_basebackup (interface reference 8.1)."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from hacore.hookspecs import ReplicaPlugin, ReplicaRequest, hookimpl
from hacore.interfaces import Created, Failed, Job, Offer

_RETRY_S: Final = 5.0
_PROGRESS: Final = re.compile(r"\s*(\d+)(?:/(\d+))? kB \((\d+)%\)")  # with LC_ALL=C; PostgreSQL 13 to 18
_KIB_OF_MIB: Final = 1024


class BasebackupPlugin(ReplicaPlugin):
    """Copies a running server by pg_basebackup."""

    def __init__(self, settings: object) -> None:
        """Nothing can be set here: the options stand in ``postgresql.basebackup`` and come with each request."""

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:  # noqa: ARG002 - it makes none
        """Run pg_basebackup once; the core makes the second attempt."""
        if request.source is None:
            return Failed(reason="pg_basebackup needs a server to copy from", untouched=True)
        environment = {**request.environment, "LC_ALL": "C"}  # its messages are read
        if request.source.passfile is not None:
            environment["PGPASSFILE"] = request.source.passfile
        try:
            finished = job.run(list(command_line(request)), environment=environment, on_line=_reporter(job))
        except OSError as error:
            return Failed(reason=f"pg_basebackup cannot be started: {error}")
        if finished.exit_code == 0:
            return Created()
        return Failed(reason=f"pg_basebackup ended with {finished.exit_code}: {_last_words(finished.output)}", retry_after_s=_RETRY_S)


def command_line(request: ReplicaRequest) -> Iterator[str]:
    """Write the command line: nothing secret stands in it, the password is in a file."""
    yield request.program("pg_basebackup")
    yield f"--pgdata={request.data_dir}"
    yield from ("-X", "stream")
    if request.source is not None:
        yield f"--dbname={request.source.conninfo}"
    yield "--no-password"  # never ask: nobody would answer
    if not any(name in {"progress", "P"} for name, _ in request.options):
        yield "--progress"
    for name, value in request.options:
        yield f"--{name}" if value is None else f"--{name}={value}"


def read_progress(line: str) -> str | None:
    """Read one line that ``--progress`` writes: ``23456/98304 kB (23%), 0/1 tablespace``."""
    match = _PROGRESS.match(line)
    if match is None:
        return None
    done = int(match[1]) // _KIB_OF_MIB
    return f"{done} MiB" if match[2] is None else f"{done} of {int(match[2]) // _KIB_OF_MIB} MiB ({match[3]} %)"


def _reporter(job: Job) -> Callable[[str], None]:
    def report(line: str) -> None:
        text = read_progress(line)
        if text is not None:
            job.progress(f"basebackup: {text}")

    return report


def _last_words(output: str) -> str:
    lines = [line for line in output.splitlines() if read_progress(line) is None]
    return " | ".join(lines[-3:]) or "it said nothing"
