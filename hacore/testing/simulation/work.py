"""Each kind of long work on one machine, in virtual time. A directory under work carries a mark.

What it has started under the guard goes on when the work, or the agent, ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, assert_never

from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import (
    Bootstrap,
    CreateReplica,
    DrainTraffic,
    JobStep,
    Promote,
    RecoverFromCrash,
    RestartServer,
    RestoreFromBackup,
    Rewind,
    StartServer,
    StopMode,
    StopServer,
    TakeCheckpoint,
    UndoRestore,
)
from hacore.testing.simulation.engine import Engine, Task
from hacore.testing.simulation.host import Host
from hacore.testing.simulation.restoring import JobFailedError, restore, undo
from hacore.testing.simulation.server import Server
from hacore.testing.simulation.wal import Directory, RecordKind

_LOOK_S: Final = 0.05


@dataclass(slots=True)
class Running:
    """Work in flight."""

    kind: JobKind
    started_at: float
    enables_writes: bool
    token: int | None
    command: str | None
    cancelled: str | None = None
    task: Task | None = field(default=None)


class Work:
    """One piece of work."""

    def __init__(self, engine: Engine, host: Host, dice: Random, running: Running) -> None:
        self._engine = engine
        self._host = host
        self._dice = dice
        self._running = running

    def carry_out(self, step: JobStep) -> None:
        """Do it.

        :raises JobFailedError: it did not come to its end.
        """
        self._ask_gates(step)
        match step:
            case Bootstrap() | CreateReplica() | RestoreFromBackup() | UndoRestore():
                self._fill(step)
            case Rewind():
                self._rewind(step)
            case RecoverFromCrash():
                self._recover_from_crash()
            case StartServer():
                self._start(step)
            case StopServer():
                self._stop(step.mode, step.timeout_s, checkpoint_first=step.checkpoint_first)
            case RestartServer():
                self._take(self._host.job_faults.checkpoint_s)  # it begins with one, which takes no time otherwise
                self._stop(StopMode.FAST, step.timeout_s, checkpoint_first=False)
                self._start(StartServer(role=step.role, upstream=step.upstream, timeout_s=step.timeout_s))
            case Promote():
                self._promote(step)
            case TakeCheckpoint() | DrainTraffic():
                self._prepare_stop(step)
            case _:
                assert_never(step)

    def _ask_gates(self, step: JobStep) -> None:
        is_gated = isinstance(step, Promote) or (isinstance(step, TakeCheckpoint | StopServer) and step.switchover_to is not None)
        if is_gated and self._host.job_faults.gate_vetoes:
            raise JobFailedError("a gate has vetoed it")

    # --- each kind of work ----------------------------------------------------------------------------------------

    def _fill(self, step: Bootstrap | CreateReplica | RestoreFromBackup | UndoRestore) -> None:
        match step:
            case Bootstrap():
                self._bootstrap()
            case CreateReplica():
                self._create_replica(step)
            case RestoreFromBackup():
                restore(self._host, step, at=lambda: self._engine.now, work=lambda: self._take(self._dice.uniform(1.0, 4.0)))
                self._start(StartServer(role=Role.PRIMARY))
            case UndoRestore():
                undo(self._host, step)

    def _bootstrap(self) -> None:
        host = self._host
        host.judge.wiping(host)
        host.server.directory = Directory(state=DirectoryState.UNFINISHED, mark="initdb", log=Directory.empty().log)
        self._take(self._dice.uniform(0.5, 2.0))
        if host.job_faults.bootstrap_fails > 0:
            host.job_faults.bootstrap_fails -= 1
            raise JobFailedError("initdb failed")
        directory = Directory(state=DirectoryState.INITIALIZED, log=Directory.empty().log, system_id=host.judge.new_system_id())
        directory.note_checkpoint(directory.log.checkpoint(RecordKind.SHUTDOWN, self._engine.now), "shut down")
        host.server.directory = directory
        self._start(StartServer(role=Role.PRIMARY))

    def _create_replica(self, step: CreateReplica) -> None:
        host = self._host
        source = host.find(step.source or step.leader)
        host.judge.wiping(host)
        host.server.directory = Directory(state=DirectoryState.UNFINISHED, mark="create_replica", log=Directory.empty().log)
        if step.leader is None and host.backup is not None:
            self._take(self._dice.uniform(0.8, 3.0))
            host.server.directory = host.backup.copy_of()
            return
        if host.job_faults.copy_fails > 0:
            host.job_faults.copy_fails -= 1
            self._take(0.3)
            raise JobFailedError("the first replica method failed")
        if source is None or not _can_copy(host, source, step.system_id):
            self._take(1.0)
            raise JobFailedError("the source does not let us copy")
        run, role = source.run, source.role
        self._take(self._dice.uniform(0.8, 3.0) + host.job_faults.copy_s)
        if not _can_copy(host, source, step.system_id) or (source.run, source.role) != (run, role):
            raise JobFailedError("the connection to the source was lost")
        host.server.directory = source.directory.copy_of()
        host.judge.copied(host, source)

    def _rewind(self, step: Rewind) -> None:
        host, directory = self._host, self._host.server.directory
        source = host.find(step.leader)
        if source is None or not _can_copy(host, source, directory.system_id or None) or source.role is not Role.PRIMARY:
            self._take(0.5)
            raise JobFailedError("the leader does not let us rewind")
        if source.directory.checkpoint_timeline == directory.log.timeline and directory.mark is None:
            return  # the program compares control files, and finds nothing to do
        directory.state, directory.mark = DirectoryState.UNFINISHED, "rewind"
        run = source.run
        self._take(self._dice.uniform(0.3, 2.0))
        if host.job_faults.rewind_fails > 0 or source.run != run or not _can_copy(host, source, directory.system_id):
            host.job_faults.rewind_fails = max(host.job_faults.rewind_fails - 1, 0)
            if step.wipe_on_failure:
                host.judge.wiping(host)
                host.server.directory = Directory.empty()
            raise JobFailedError("pg_rewind failed")
        host.server.directory = source.directory.copy_of()
        host.judge.copied(host, source)

    def _recover_from_crash(self) -> None:
        self._take(self._dice.uniform(0.2, 1.0))
        directory = self._host.server.directory
        if self._host.server.state is not ServerState.STOPPED:
            raise JobFailedError("the server runs")
        directory.note_checkpoint(directory.log.checkpoint(RecordKind.SHUTDOWN, self._engine.now), "shut down")
        self._host.server.end_known_at = self._engine.now

    def _start(self, step: StartServer) -> None:
        host, server = self._host, self._host.server
        if not server.is_down:
            raise JobFailedError(f"the server is {server.state}")
        if server.directory.state is not DirectoryState.INITIALIZED:
            raise JobFailedError("the data directory is not whole")
        self._take(host.job_faults.start_s)
        if host.job_faults.start_fails > 0:
            host.job_faults.start_fails -= 1
            raise JobFailedError("the port is taken")
        refusal = host.guard_start(step.role, step.upstream, self._running.token)
        if refusal is not None:
            raise JobFailedError(refusal)
        self._until(lambda: server.state is not ServerState.STARTING, step.timeout_s or 60.0)
        if not server.is_up:
            server.quit()
            raise JobFailedError(server.last_failure or "the server did not come up")

    def _stop(self, mode: StopMode, timeout_s: float | None, *, checkpoint_first: bool) -> None:
        server = self._host.server
        if checkpoint_first:
            self._checkpoint()
        if mode is StopMode.FAST:
            server.stop()
            self._until(lambda: server.is_down, timeout_s if timeout_s is not None else 30.0)
        if not server.is_down:
            server.quit()
            self._until(lambda: server.is_down, 1.0)
        if not server.is_down:
            server.vanish()

    def _promote(self, step: Promote) -> None:
        server = self._host.server
        blocked = tuple(range(server.log.timeline + 1, step.timeline))  # by empty history files, as the agent makes them
        refusal = self._host.guard_promote(blocked, self._running.token)
        if refusal is not None:
            raise JobFailedError(refusal)
        if self._host.job_faults.promotion_kills:
            server.quit()
            self._until(lambda: server.is_down, 1.0)
            raise JobFailedError("the server did not answer")
        self._until(lambda: server.role is not Role.STANDBY, 10.0)
        if server.role is not Role.PRIMARY:
            raise JobFailedError("the server did not leave recovery")

    def _prepare_stop(self, step: TakeCheckpoint | DrainTraffic) -> None:
        if isinstance(step, DrainTraffic):
            self._drain(step)
        else:
            self._checkpoint()

    def _checkpoint(self) -> None:
        self._take(self._dice.uniform(0.02, 0.3) + self._host.job_faults.checkpoint_s)
        self._host.server.checkpoint()

    def _drain(self, step: DrainTraffic) -> None:
        traffic, takes_s = self._host.traffic, self._dice.expovariate(1 / 0.3) + self._host.job_faults.drain_s
        traffic.hold(step.switchover_id)
        self._take(min(takes_s, step.timeout_s))
        if takes_s > step.timeout_s:
            raise JobFailedError("not all routers hold work back")

    # --- time -----------------------------------------------------------------------------------------------------

    def _take(self, seconds: float) -> None:
        """Work for a while."""
        until = self._engine.now + seconds
        self._until(lambda: self._engine.now >= until, seconds + 1.0)

    def _until(self, condition: Callable[[], bool], longest_s: float) -> None:
        """Wait for something, for the end of the time, or until the work is cancelled."""
        ends_at = self._engine.now + longest_s
        while not condition() and self._engine.now < ends_at:
            if self._running.cancelled is not None:
                raise JobFailedError(f"cancelled: {self._running.cancelled}")
            self._engine.sleep(min(_LOOK_S, max(ends_at - self._engine.now, 0.001)))


def _can_copy(host: Host, source: Server, system_id: str | None) -> bool:
    connects = source.serves and host.network.connects(host.name, source.name)
    return connects and system_id in (None, source.directory.system_id)
