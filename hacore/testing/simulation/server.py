"""One PostgreSQL server: postmaster, backends, recovery, promotion, streaming. It does what it is told and knows no cluster.

Ends take time, and the end of the postmaster is not the end of its backends. Streaming follows what a real server checks and no more:
it refuses a standby whose end it can see to be beyond its own, and lets one pass whose WAL merely has other bytes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hacore.model.lsn import Lsn
from hacore.model.node import DirectoryState, Role, ServerState, Upstream
from hacore.testing.simulation.engine import Engine, Event, Gate
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.wal import Directory, Log, RecordKind, WalRecord

_RETRY_S = 0.5  # wal_retrieve_retry_interval
_SILENCE_S = 5.0  # wal_receiver_timeout


@dataclass(slots=True)
class ServerFaults:
    """What the machine does to its server at the moment."""

    start_s: float = 0.0  # longer by this
    start_fails: bool = False
    stop_hangs: bool = False  # a fast stop never ends
    promote_s: float = 0.0
    promote_fails: bool = False
    replication_lag_s: float = 0.0
    is_mute: bool = False  # no new connection is answered; sessions that are open go on


class Server:
    """The server processes of one machine, and the data directory that they work in."""

    def __init__(self, engine: Engine, network: Network, name: str, gate: Gate) -> None:
        self._engine = engine
        self._network = network
        self._dice = engine.dice(f"server {name}")
        self.name = name
        self.gate = gate  # of the machine: closed while that is frozen
        self.faults = ServerFaults()
        self.directory = Directory.empty()
        self.find: Callable[[str], Server | None] = lambda _: None
        self.judge: ServerJudge = ServerJudge()
        self.has_postmaster = False
        self.has_backends = False
        self.phase = ServerState.STOPPED
        self.role: Role | None = None
        self.run = 0  # grows with each start: what was meant for an earlier one is void
        self.started_at = 0.0
        self.upstream = Upstream(member=None)
        self.source: Server | None = None  # attached to it
        self._pump: Event | None = None
        self._silent_since: float | None = None
        self.followers: list[Server] = []
        self.last_failure: str | None = None
        self.end_known_at = 0.0  # when somebody who reads the WAL of the stopped server knows where it ends
        self.on_end: Callable[[], None] = lambda: None

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> ServerState:
        """Return what the processes look like."""
        if not self.has_postmaster:
            return ServerState.ORPHANED if self.has_backends else ServerState.STOPPED
        return self.phase

    @property
    def is_up(self) -> bool:
        """Tell whether it takes connections, unless something is wrong with its machine."""
        return self.state is ServerState.RUNNING

    @property
    def is_down(self) -> bool:
        """Tell whether no process is left."""
        return self.state is ServerState.STOPPED

    @property
    def has_known_end(self) -> bool:
        """Tell whether the server is stopped and the end of its WAL was found."""
        return self.is_down and self._engine.now >= self.end_known_at

    @property
    def log(self) -> Log:
        """Return the WAL of the directory."""
        return self.directory.log

    @property
    def slots(self) -> dict[str, Lsn]:
        """Return the replication slots of the directory, with where each begins."""
        return self.directory.slots

    @property
    def accepts_writes(self) -> bool:
        """Tell whether a process of this server could acknowledge a commit, unless its machine is frozen."""
        return self.has_backends and self.role is Role.PRIMARY

    @property
    def serves(self) -> bool:
        """Tell whether new connections are answered."""
        return self.has_postmaster and self.phase is ServerState.RUNNING and self.gate.is_open and not self.faults.is_mute

    # --- starting and ending --------------------------------------------------------------------------------------

    def start(self, role: Role, upstream: Upstream | None) -> None:
        """Execute a postmaster."""
        directory = self.directory
        self.run += 1
        self.has_postmaster, self.has_backends, self.phase, self.role = True, False, ServerState.STARTING, None
        self.upstream = upstream or Upstream(member=None)
        directory.standby_signal = role is Role.STANDBY
        self.judge.started(self, role)
        seconds = self._dice.uniform(0.1, 0.6) + self.faults.start_s
        self._later(seconds, lambda: self._come_up(role))

    def _come_up(self, role: Role) -> None:
        if self.phase is not ServerState.STARTING:
            return
        if self.faults.start_fails or self.directory.state is not DirectoryState.INITIALIZED:
            self.last_failure = "the server ended while it started"
            self._gone()
            return
        self.last_failure = None
        self.started_at = self._engine.now
        directory = self.directory
        if role is Role.PRIMARY:
            record = self.log.checkpoint(RecordKind.CHECKPOINT, self._engine.now)
            directory.note_checkpoint(record, "in production")
        else:
            directory.control_state = "in archive recovery"
        self.phase, self.role, self.has_backends = ServerState.RUNNING, role, True
        self.judge.came_up(self)
        if role is Role.STANDBY:
            self._look_for_source()
        self._wake_followers()

    def stop(self) -> None:
        """SIGINT to the postmaster: sessions end, a checkpoint is written and sent to every standby, then it goes."""
        if not self.has_postmaster or self.phase is ServerState.STOPPING or self.faults.stop_hangs:
            return
        was_up = self.phase is ServerState.RUNNING
        self.phase = ServerState.STOPPING
        if not was_up:
            self._later(0.05, self._gone)
            return
        self._later(self._dice.uniform(0.02, 0.1), self._sessions_ended)

    def _sessions_ended(self) -> None:
        role, self.has_backends = self.role, False
        if role is Role.PRIMARY:
            record = self.log.checkpoint(RecordKind.SHUTDOWN, self._engine.now)
            self.directory.note_checkpoint(record, "shut down")
            self._wake_followers()
            self._later(0.005, lambda: self._wait_for_followers(self._engine.now + 20.0))
        else:
            self.directory.control_state = "shut down in recovery"
            self._later(0.02, self._gone)

    def _wait_for_followers(self, until: float) -> None:
        """A primary goes when every standby that is connected has the shutdown checkpoint."""
        behind = [one for one in self.followers if one.log.end < self.log.end and one.gate.is_open]
        if behind and self._engine.now < until:
            self._later(0.02, lambda: self._wait_for_followers(until))
        else:
            self._gone()

    def quit(self) -> None:
        """SIGQUIT to the postmaster: backends go within a tenth of a second, whatever they do; then it goes."""
        if self.has_postmaster:
            self.phase = ServerState.STOPPING
            self._later(self._dice.uniform(0.03, 0.11), self._gone)

    def lose_postmaster(self) -> None:
        """SIGKILL to the postmaster alone: a busy backend goes on to commit and to answer for seconds."""
        if not self.has_postmaster:
            return
        self.has_postmaster = False
        self._drop_connections()
        if self.has_backends:
            self._later(self._dice.uniform(0.1, 7.0), self._gone)
        self.on_end()

    def vanish(self) -> None:
        """Every process is gone at once: SIGKILL to all, or the machine lost its power."""
        self.run += 1
        self._gone()

    def _gone(self) -> None:
        had = self.has_postmaster
        self.has_postmaster = self.has_backends = False
        self.phase, self.role = ServerState.STOPPED, None
        self._drop_connections()
        if had:
            is_unreadable = self.directory.control_state == "in production" and self._dice.random() < 0.25
            self.end_known_at = math.inf if is_unreadable else self._engine.now + self._dice.uniform(0.0, 0.5)
            self.on_end()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let this run of the server do something, unless it has ended by then."""
        run = self.run

        def act() -> None:
            if run == self.run and (self.has_postmaster or self.has_backends):
                action()

        self._engine.after(seconds, lambda: self.gate.pass_or_wait(act))

    # --- promotion and checkpoints --------------------------------------------------------------------------------

    def promote(self, claimed: tuple[int, ...]) -> None:
        """SIGUSR1 and the promote file: leave recovery on the next timeline that is not ``claimed``."""
        if self.phase is ServerState.RUNNING and self.role is Role.STANDBY and not self.faults.promote_fails:
            self._later(self._dice.uniform(0.03, 0.3) + self.faults.promote_s, lambda: self._leave_recovery(claimed))

    def _leave_recovery(self, claimed: tuple[int, ...]) -> None:
        if self.phase is not ServerState.RUNNING or self.role is not Role.STANDBY:
            return
        self._detach()
        timeline = self.log.timeline + 1
        while timeline in claimed:
            timeline += 1
        self.judge.promoting(self, timeline)
        self.log.switch_timeline(timeline, self._engine.now)
        self.role = Role.PRIMARY
        self.directory.standby_signal = False
        self.directory.control_state = "in production"
        self.judge.promoted(self, timeline)
        self._wake_followers()

    def checkpoint(self) -> None:
        """CHECKPOINT."""
        if self.accepts_writes and self.has_postmaster:
            self.directory.note_checkpoint(self.log.checkpoint(RecordKind.CHECKPOINT, self._engine.now), "in production")
            self._wake_followers()

    def commit(self, commit: int, size: int) -> WalRecord | None:
        """Write one commit and flush it, where this server takes writes."""
        if not self.accepts_writes or not self.gate.is_open:
            return None
        record = self.log.append(RecordKind.COMMIT, size, self._engine.now, commit)
        self._wake_followers()
        return record

    # --- streaming ------------------------------------------------------------------------------------------------

    def follow(self, upstream: Upstream) -> None:
        """Change primary_conninfo and reload: the wal receiver begins anew."""
        if upstream != self.upstream:
            self.upstream = upstream
            self._detach()
            self._look_for_source()

    def _look_for_source(self) -> None:
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
            self._later(_RETRY_S, lambda: self._look_for_source() if self.upstream == wanted else None)
            return
        self.source, self._silent_since = source, None
        source.followers.append(self)
        self.judge.attached(self, source)
        self._fetch()

    def _is_let_in(self, source: "Server") -> bool:
        """What a real server checks when a standby asks for WAL."""
        if source is self or not source.serves or not self._network.connects(self.name, source.name):
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
            delay = self._network.delay(source.name, self.name) + self.faults.replication_lag_s
            self._pump = self._engine.after(delay, lambda: self.gate.pass_or_wait(self._deliver))

    def _deliver(self) -> None:
        self._pump = None
        source = self.source
        if source is None:
            return
        if not self._network.reaches(source.name, self.name) or not source.gate.is_open:
            self._wait_in_silence()
            return
        if self not in source.followers:
            self._detach()
            self._look_for_source()
            return
        self._silent_since = None
        self.log.take(source.log, len(source.log.records) - len(self.log.records))
        self._wake_followers()

    def _wait_in_silence(self) -> None:
        now = self._engine.now
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since > _SILENCE_S:
            self._detach()
            self._look_for_source()
        else:
            self._pump = self._engine.after(_RETRY_S, lambda: self.gate.pass_or_wait(self._deliver))

    def _wake_followers(self) -> None:
        for follower in self.followers:
            follower._fetch()  # noqa: SLF001 - the other end of one connection
        self.judge.wrote(self)

    def _detach(self) -> None:
        if self.source is not None:
            if self in self.source.followers:
                self.source.followers.remove(self)
            self.source = None

    def _drop_connections(self) -> None:
        """Its own receiver ends; whoever streamed from here notices, at once where the machine can still say so."""
        self._detach()
        for follower in list(self.followers):
            if self.gate.is_open and self._network.reaches(self.name, follower.name):
                self._engine.after(
                    self._network.delay(self.name, follower.name),
                    lambda one=follower: one.gate.pass_or_wait(lambda: one._lost(self)),  # type: ignore[misc]  # noqa: SLF001
                )
            else:
                follower._wait_in_silence()  # noqa: SLF001
        self.followers.clear()

    def _lost(self, source: "Server") -> None:
        if self.source is source and self not in source.followers:
            self._detach()
            self._look_for_source()

    @property
    def received(self) -> Lsn:
        """Return the end of the WAL that is durable here."""
        return self.log.end


class ServerJudge:
    """Who watches a server; by default nobody."""

    def started(self, server: Server, role: Role) -> None:
        """Learn of a start."""

    def came_up(self, server: Server) -> None:
        """Learn that it takes connections."""

    def promoting(self, server: Server, timeline: int) -> None:
        """Learn that it is about to leave recovery."""

    def promoted(self, server: Server, timeline: int) -> None:
        """Learn that it has."""

    def attached(self, server: Server, source: Server) -> None:
        """Learn that ``server`` streams from ``source``."""

    def wrote(self, server: Server) -> None:
        """Learn that its log has grown."""
