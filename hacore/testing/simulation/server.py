"""One PostgreSQL server: what it writes, promotes and streams. It knows no cluster.

Streaming follows what a real server checks and no more: it refuses a standby whose end it can see to be beyond its own, and lets one pass
whose WAL merely has other bytes.
"""

from collections.abc import Callable
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.node import Role, ServerState, Upstream
from hacore.testing.simulation.engine import Engine, Event, Gate
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.postmaster import Processes
from hacore.testing.simulation.wal import RecordKind, WalRecord

_RETRY_S: Final = 0.5  # wal_retrieve_retry_interval
_SILENCE_S: Final = 5.0  # wal_receiver_timeout


class Server(Processes):
    """The server of one machine."""

    def __init__(self, engine: Engine, network: Network, name: str, gate: Gate) -> None:
        super().__init__(engine, network, name, gate)
        self.find: Callable[[str], Server | None] = lambda _: None
        self.source: Server | None = None  # attached to it
        self._pump: Event | None = None
        self._silent_since: float | None = None

    # --- promotion and checkpoints --------------------------------------------------------------------------------

    def promote(self, claimed: tuple[int, ...]) -> None:
        """SIGUSR1 and the promote file: leave recovery on the next timeline that is not ``claimed``."""
        if self.phase is ServerState.RUNNING and self.role is Role.STANDBY and not self.faults.promote_fails:
            self.later(self.dice.uniform(0.03, 0.3) + self.faults.promote_s, lambda: self._leave_recovery(claimed))

    def _leave_recovery(self, claimed: tuple[int, ...]) -> None:
        if self.phase is not ServerState.RUNNING or self.role is not Role.STANDBY:
            return
        self._detach()
        timeline = self.log.timeline + 1
        while timeline in claimed:
            timeline += 1
        self.judge.promoting(self, timeline)
        self.log.switch_timeline(timeline, self.engine.now)
        self.role = Role.PRIMARY
        self.directory.standby_signal = False
        self.directory.control_state = "in production"
        self.judge.promoted(self, timeline)
        self.wake_followers()

    def checkpoint(self) -> None:
        """CHECKPOINT."""
        if self.accepts_writes and self.has_postmaster:
            self.directory.note_checkpoint(self.log.checkpoint(RecordKind.CHECKPOINT, self.engine.now), "in production")
            self.wake_followers()

    def commit(self, commit: int, size: int) -> WalRecord | None:
        """Write one commit and flush it, where this server takes writes."""
        if not self.accepts_writes or not self.gate.is_open:
            return None
        record = self.log.append(RecordKind.COMMIT, size, self.engine.now, commit)
        self.wake_followers()
        return record

    # --- streaming ------------------------------------------------------------------------------------------------

    def follow(self, upstream: Upstream) -> None:
        """Change primary_conninfo and reload: the wal receiver begins anew."""
        if upstream != self.upstream:
            self.upstream = upstream
            self._detach()
            self.look_for_source()

    def look_for_source(self) -> None:
        """Begin to stream as soon as somebody lets us."""
        if (
            self.role is not Role.STANDBY
            or self.phase is not ServerState.RUNNING
            or self.source is not None
            or self.upstream.member is None
        ):
            return
        source = self.find(self.upstream.member)
        if source is None or not self._is_let_in(source):
            wanted = self.upstream
            self.later(_RETRY_S, lambda: self.look_for_source() if self.upstream == wanted else None)
            return
        self.source, self._silent_since = source, None
        source.followers.append(self)
        self.judge.attached(self, source)
        self._fetch()

    def _is_let_in(self, source: "Server") -> bool:
        """What a real server checks when a standby asks for WAL."""
        if source is self or not source.serves or not self.network.connects(self.name, source.name):
            return False
        if source.directory.system_id != self.directory.system_id:
            return False
        if self.upstream.slot is not None and self.upstream.slot not in source.slots:
            return False
        mine, theirs = self.log, source.log
        if mine.timeline == theirs.timeline:
            return mine.end <= theirs.end
        return theirs.history.has_prefix(mine.timeline, mine.end)

    def _fetch(self) -> None:
        """Have the next WAL delivered, one message for many records."""
        source = self.source
        if source is None or (self._pump is not None and self._pump.action is not None):
            return
        if len(source.log.records) > len(self.log.records) or self._silent_since is not None:
            delay = self.network.delay(source.name, self.name) + self.faults.replication_lag_s
            self._pump = self.engine.after(delay, lambda: self.gate.pass_or_wait(self._deliver))

    def _deliver(self) -> None:
        self._pump = None
        source = self.source
        if source is None:
            return
        if not self.network.reaches(source.name, self.name) or not source.gate.is_open:
            self._wait_in_silence()
            return
        if self not in source.followers:
            self._detach()
            self.look_for_source()
            return
        self._silent_since = None
        self.log.take(source.log, len(source.log.records) - len(self.log.records))
        self.wake_followers()

    def _wait_in_silence(self) -> None:
        now = self.engine.now
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since > _SILENCE_S:
            self._detach()
            self.look_for_source()
        else:
            self._pump = self.engine.after(_RETRY_S, lambda: self.gate.pass_or_wait(self._deliver))

    def wake_followers(self) -> None:
        """Send what was written."""
        for follower in self.followers:
            follower._fetch()  # noqa: SLF001 - the other end of one connection
        self.judge.wrote(self)

    def _detach(self) -> None:
        if self.source is not None:
            if self in self.source.followers:
                self.source.followers.remove(self)
            self.source = None

    def drop_connections(self) -> None:
        """Its own receiver ends; whoever streamed from here notices, at once where the machine can still say so."""
        self._detach()
        for follower in list(self.followers):
            if self.gate.is_open and self.network.reaches(self.name, follower.name):
                self.engine.after(
                    self.network.delay(self.name, follower.name),
                    lambda one=follower: one.gate.pass_or_wait(lambda: one._lost(self)),  # type: ignore[misc]  # noqa: SLF001
                )
            else:
                follower._wait_in_silence()  # noqa: SLF001
        self.followers.clear()

    def _lost(self, source: "Server") -> None:
        if self.source is source and self not in source.followers:
            self._detach()
            self.look_for_source()

    @property
    def received(self) -> Lsn:
        """Return the end of the WAL that is durable here."""
        return self.log.end
