"""The processes of one PostgreSQL server: postmaster and backends, starting, stopping, dying.

Ends take time, and the end of the postmaster is not the end of its backends. It does what it is told and knows no cluster.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from hacore.model.lsn import Lsn
from hacore.model.node import DirectoryState, Role, ServerState, Upstream
from hacore.testing.simulation.engine import Engine, Gate
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.wal import Directory, Log, RecordKind


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
    blocked_run: int | None = None  # start of the server in which replay waits for a larger setting


class Processes:
    """The processes of one server, and the data directory that they work in. What they stream is the business of ``Server``."""

    def __init__(self, engine: Engine, network: Network, name: str, gate: Gate) -> None:
        self.engine = engine
        self.network = network
        self.dice = engine.dice(f"server {name}")
        self.name = name
        self.gate = gate  # of the machine: closed while that is frozen
        self.faults = ServerFaults()
        self.directory = Directory.empty()
        self.judge: ServerJudge = ServerJudge()
        self.has_postmaster = False
        self.has_backends = False
        self.phase = ServerState.STOPPED
        self.role: Role | None = None
        self.run = 0  # grows with each start: what was meant for an earlier one is void
        self.started_at = 0.0
        self.upstream = Upstream(member=None)
        self.followers: list[Self] = []
        self.last_failure: str | None = None
        self.end_known_at = 0.0  # when somebody who reads the WAL of the stopped server knows where it ends
        self.on_end: Callable[[], None] = lambda: None
        self.on_shut_down: Callable[[], None] = lambda: None  # the control file says so; walsenders may still have much to send

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
        return self.is_down and self.engine.now >= self.end_known_at

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
        seconds = self.dice.uniform(0.1, 0.6) + self.faults.start_s
        self.later(seconds, lambda: self._come_up(role))

    def _come_up(self, role: Role) -> None:
        if self.phase is not ServerState.STARTING:
            return
        if self.faults.start_fails or self.directory.state is not DirectoryState.INITIALIZED:
            self.last_failure = "the server ended while it started"
            self._gone()
            return
        self.last_failure = None
        self.started_at = self.engine.now
        directory = self.directory
        if role is Role.PRIMARY:
            record = self.log.checkpoint(RecordKind.CHECKPOINT, self.engine.now)
            directory.note_checkpoint(record, "in production")
        else:
            directory.control_state = "in archive recovery"
        self.phase, self.role, self.has_backends = ServerState.RUNNING, role, True
        self.judge.came_up(self)
        if role is Role.STANDBY:
            self.look_for_source()
        self.wake_followers()

    def stop(self) -> None:
        """SIGINT to the postmaster: sessions end, a checkpoint is written and sent to every standby, then it goes."""
        if not self.has_postmaster or self.phase is ServerState.STOPPING or self.faults.stop_hangs:
            return
        was_up = self.phase is ServerState.RUNNING
        self.phase = ServerState.STOPPING
        if not was_up:
            self.later(0.05, self._gone)
            return
        self.later(self.dice.uniform(0.02, 0.1), self._sessions_ended)

    def _sessions_ended(self) -> None:
        role, self.has_backends = self.role, False
        if role is Role.PRIMARY:
            record = self.log.checkpoint(RecordKind.SHUTDOWN, self.engine.now)
            self.directory.note_checkpoint(record, "shut down")
            self.wake_followers()
            self.on_shut_down()
            self.later(0.005, lambda: self._wait_for_followers(self.engine.now + 20.0))
        else:
            self.directory.control_state = "shut down in recovery"
            self.later(0.02, self._gone)

    def _wait_for_followers(self, until: float) -> None:
        """A primary goes when every standby that is connected has the shutdown checkpoint."""
        behind = [one for one in self.followers if one.log.end < self.log.end and one.gate.is_open]
        if behind and self.engine.now < until:
            self.later(0.02, lambda: self._wait_for_followers(until))
        else:
            self._gone()

    def quit(self) -> None:
        """SIGQUIT to the postmaster: backends go within a tenth of a second, whatever they do; then it goes."""
        if self.has_postmaster:
            self.phase = ServerState.STOPPING
            self.later(self.dice.uniform(0.03, 0.11), self._gone)

    def lose_postmaster(self) -> None:
        """SIGKILL to the postmaster alone: a busy backend goes on to commit and to answer for seconds."""
        if not self.has_postmaster:
            return
        self.has_postmaster = False
        self.drop_connections()
        if self.has_backends:
            self.later(self.dice.uniform(0.1, 7.0), self._gone)
        self.on_end()

    def vanish(self) -> None:
        """Every process is gone at once: SIGKILL to all, or the machine lost its power."""
        self.run += 1
        self._gone()

    def _gone(self) -> None:
        had = self.has_postmaster
        self.has_postmaster = self.has_backends = False
        self.phase, self.role = ServerState.STOPPED, None
        self.drop_connections()
        if had:
            is_unreadable = self.directory.control_state == "in production" and self.dice.random() < 0.25
            self.end_known_at = math.inf if is_unreadable else self.engine.now + self.dice.uniform(0.0, 0.5)
            self.on_end()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let this run of the server do something, unless it has ended by then."""
        run = self.run

        def act() -> None:
            if run == self.run and (self.has_postmaster or self.has_backends):
                action()

        self.engine.after(seconds, lambda: self.gate.pass_or_wait(act))

    # --- what streaming has to do at these moments ----------------------------------------------------------------

    def look_for_source(self) -> None:
        """A standby takes connections: it may begin to stream."""

    def wake_followers(self) -> None:
        """The log has grown."""

    def drop_connections(self) -> None:
        """Every connection to and from this server ends."""


class ServerJudge:
    """Who watches a server; by default nobody."""

    def started(self, server: Processes, role: Role) -> None:
        """Learn of a start."""

    def came_up(self, server: Processes) -> None:
        """Learn that it takes connections."""

    def promoting(self, server: Processes, timeline: int) -> None:
        """Learn that it is about to leave recovery."""

    def promoted(self, server: Processes, timeline: int) -> None:
        """Learn that it has."""

    def attached(self, server: Processes, source: Processes) -> None:
        """Learn that ``server`` streams from ``source``."""

    def wrote(self, server: Processes) -> None:
        """Learn that its log has grown."""
