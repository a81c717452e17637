"""One PostgreSQL as the loop sees it: :class:`PostgresNode` implements :class:`hacore.ports.Postgres`.

Everything here ends within its limit. Long work is in ``work``, on the worker's thread.
"""

import logging
from dataclasses import replace
from typing import Final

from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import GuardUnavailableError, PostgresUnreachableError
from hacore.model.clock import BootClock, Clock
from hacore.model.node import DataDirectory, NodeState, Role, ServerState, Upstream
from hacore.model.steps import ReconcileSlots
from hacore.postgres import query
from hacore.postgres.conninfo import parse_conninfo
from hacore.postgres.directory import read_directory
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.launcher import asked
from hacore.postgres.reading import ServerReader
from hacore.postgres.slots import reconcile
from hacore.postgres.startup_log import bound
from hacore.postgres.stop import signal_reload

logger = logging.getLogger(__name__)

_QUERY_SHARE: Final = 0.8  # of a reading's time; the rest is the disk's
_SLOTS_S: Final = 2.0


class PostgresNode:
    """This node's PostgreSQL. Used by the loop's thread."""

    def __init__(self, instance: Instance, *, clock: Clock | None = None) -> None:
        self._instance = instance
        self._clock = clock or BootClock()
        self._reader = ServerReader(instance)
        for left in instance.layout.state_dir.glob("pgpass.*"):  # of an agent that was killed
            left.unlink(missing_ok=True)

    @property
    def instance(self) -> Instance:
        """The server's parts, which the worker shares."""
        return self._instance

    def configure(self, settings: PostgresSettings) -> None:
        """Put other settings in force; :meth:`reload` brings them to the server."""
        self._instance.configure(settings)

    def read(self, *, timeout_s: float) -> NodeState:
        """Read process, directory, positions and settings."""
        read_at = self._clock.now()
        pid = self._instance.processes.postmaster()
        if pid is not None:
            self._introduce(pid)
        server, answer = self._reader.read(pid, timeout_s=timeout_s * _QUERY_SHARE)
        directory = read_directory(
            self._instance,
            answer=answer,
            is_stopped=server is ServerState.STOPPED,
            patience_s=min(timeout_s * (1 - _QUERY_SHARE), 0.5),
        )
        if server is ServerState.STOPPED:
            self._instance.note(stopping=None)
        bound(self._instance.layout.log)
        notes = self._instance.notes
        state = NodeState(
            read_at=read_at,
            server=server,
            directory=directory,
            pid=pid,
            system_id=directory.control.system_id if directory.control else None,
            timeline=_timeline_on_disk(directory),
            history=directory.history,
            settings_wanted=notes.settings_wanted and answer is not None,
            last_start_failed=notes.start_failed if server is ServerState.STOPPED else None,
            upstream=self._instance.upstream() if server is ServerState.STARTING and directory.has_standby_signal else None,
            archive=self._instance.archiving.state,
        )
        return state if answer is None else self._with_answer(state, answer)

    def follow(self, upstream: Upstream) -> None:
        """Point a standby that runs, or that is starting, at ``upstream``.

        :raises PostgresUnreachableError: there is no server to take it.
        """
        self._instance.write_settings(upstream)
        self._signal_reload()
        self._instance.note(settings_wanted=False)

    def reload(self) -> None:
        """Write the settings in force and reload the server, if one runs."""
        self._instance.write_settings()
        if self._instance.processes.postmaster() is not None:
            self._signal_reload()
        self._instance.note(settings_wanted=False)

    def reconcile_slots(self, step: ReconcileSlots) -> None:
        """Create, drop and move physical slots; one that is in use is left alone."""
        reconcile(self._reader.session(), step, timeout_s=_SLOTS_S)

    def end(self, reason: str) -> None:
        """End every server process of the data directory: SIGQUIT, then SIGKILL, by the guard."""
        logger.warning("ending PostgreSQL", extra={"reason": reason})
        asked(lambda: self._instance.launcher.end(kill=False))

    def close(self) -> None:
        """Drop the connections, and end a search for the end of WAL, which would outlive this process."""
        self._reader.close()
        self._instance.wal_ends.drop()

    def _introduce(self, pid: int) -> None:
        """Make the guard know a server that it has not started; guarding it changes nothing of it."""
        try:
            state = asked(self._instance.launcher.state)
            if state.server_pid is None and not state.is_ending:
                asked(lambda: self._instance.launcher.adopt(pid))
                logger.warning("PostgreSQL was started by somebody else, the guard adopts it", extra={"pid": pid})
        except (GuardUnavailableError, PostgresUnreachableError) as error:
            logger.debug("the guard does not take the server", extra={"error": str(error), "pid": pid})

    def _with_answer(self, state: NodeState, answer: query.Answer) -> NodeState:
        return replace(
            state,
            role=answer.role,
            server_version=answer.version,
            postmaster_start_time=answer.start_time,
            system_id=answer.system_id,
            timeline=answer.timeline,
            flushed_lsn=answer.flushed_lsn,
            received_lsn=answer.received_lsn,
            replayed_lsn=answer.replayed_lsn,
            replayed_at=answer.replayed_at,
            replay_paused=answer.replay_paused,
            replay_blocked=answer.replay_paused and self._reader.lacks_a_limit(),
            replication_state=answer.replication_state,
            history=self._instance.histories.of(answer.timeline),
            upstream=self._upstream(answer) if answer.role is Role.STANDBY else None,
            upstream_reachable=answer.receiver_status == "streaming" if answer.role is Role.STANDBY else None,
            slots=answer.slots,
            senders=answer.senders,
            pending_restart=self._reader.pending,
        )

    def _upstream(self, answer: query.Answer) -> Upstream:
        """What is in force, with the member's name where the file that we wrote says the same."""
        values = parse_conninfo(answer.primary_conninfo)
        host, port = values.get("host", ""), values.get("port", "5432")
        if not host:
            return NOBODY
        found = Upstream(member=None, host=host, port=int(port) if port.isdecimal() else 5432, slot=answer.primary_slot_name or None)
        written = self._instance.upstream()
        return written if replace(written, member=None) == found else found

    def _signal_reload(self) -> None:
        signal_reload(self._instance)
        self._reader.reloaded()


def _timeline_on_disk(directory: DataDirectory) -> int | None:
    if directory.wal_end_timeline is not None:
        return directory.wal_end_timeline
    return directory.control.timeline if directory.control else None
