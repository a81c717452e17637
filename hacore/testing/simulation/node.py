"""What an agent sees of its PostgreSQL, of other members and of its disk: the ports of ``hacore.ports``, in virtual time."""

from collections.abc import Sequence
from dataclasses import replace

from hacore.errors import DataDirectoryError, PostgresUnreachableError
from hacore.model.cluster import Member
from hacore.model.memory import Memory
from hacore.model.node import (
    ControlData,
    DataDirectory,
    DirectoryState,
    NodeState,
    PeerState,
    Role,
    ServerState,
    SlotState,
    Upstream,
    WalSender,
)
from hacore.model.steps import ReconcileSlots
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.host import Host
from hacore.testing.simulation.server import Server


class AgentPostgres:
    """This machine's server (:class:`hacore.ports.Postgres`)."""

    def __init__(self, engine: Engine, host: Host) -> None:
        self._engine = engine
        self._host = host

    def read(self, *, timeout_s: float) -> NodeState:
        """Read everything; takes a few milliseconds, or all of the time where nothing answers."""
        server = self._host.server
        is_up = server.has_postmaster and server.phase is ServerState.RUNNING
        if is_up and server.faults.is_mute:
            self._engine.sleep(timeout_s)
            return self._processes(ServerState.UNREACHABLE)
        self._engine.sleep(0.002)
        if server.state is not ServerState.RUNNING:
            return self._processes(server.state)
        return self._answer(server)

    def follow(self, upstream: Upstream) -> None:
        """Point a running standby at ``upstream``."""
        self._engine.sleep(0.005)
        if not self._host.server.has_postmaster:
            raise PostgresUnreachableError("there is no server")
        self._host.server.follow(upstream)

    def reload(self) -> None:
        """Bring settings in."""
        self._engine.sleep(0.005)

    def reconcile_slots(self, step: ReconcileSlots) -> None:
        """Create, drop and move slots."""
        self._engine.sleep(0.005)
        server = self._host.server
        if not server.serves:
            raise PostgresUnreachableError("the server does not answer")
        active = {one.upstream.slot for one in server.followers}
        for name in step.droppable:
            if name not in active:
                server.slots.pop(name, None)
        for name in step.wanted:
            server.slots.setdefault(name, server.log.end)
        for name, lsn in step.advance:
            if name in server.slots and name not in active:
                server.slots[name] = max(server.slots[name], lsn)

    def end(self, reason: str) -> None:
        """End every server process."""
        del reason
        self._host.server.quit()
        self._engine.sleep(0.12)
        self._host.server.vanish()

    def _processes(self, state: ServerState) -> NodeState:
        server = self._host.server
        return NodeState(
            read_at=self._host.clock.now(),
            server=state,
            directory=self._directory(server),
            pid=1000 + server.run if server.has_postmaster else None,
            last_start_failed=server.last_failure,
            system_id=server.directory.system_id or None,
            upstream=server.upstream if state is ServerState.STARTING and server.directory.standby_signal else None,
        )

    def _answer(self, server: Server) -> NodeState:
        is_primary = server.role is Role.PRIMARY
        end = server.log.end
        return NodeState(
            read_at=self._host.clock.now(),
            server=ServerState.RUNNING,
            directory=self._directory(server),
            role=server.role,
            pid=1000 + server.run,
            server_version=150000,
            postmaster_start_time=f"{server.started_at:.3f}",
            system_id=server.directory.system_id,
            timeline=server.log.timeline,
            flushed_lsn=end if is_primary else None,
            received_lsn=None if is_primary else end,
            replayed_lsn=None if is_primary else end,
            replay_blocked=server.faults.blocked_run == server.run,
            replication_state="streaming" if server.source is not None else None,
            history=server.log.history,
            upstream=None if is_primary else server.upstream,
            upstream_reachable=None if is_primary else server.source is not None,
            slots=self._slots(server),
            senders=self._senders(server),
        )

    @staticmethod
    def _slots(server: Server) -> tuple[SlotState, ...]:
        active = {one.upstream.slot: one.log.end for one in server.followers}
        return tuple(
            SlotState(name=name, is_physical=True, active=name in active, restart_lsn=active.get(name, lsn))
            for name, lsn in sorted(server.slots.items())
        )

    @staticmethod
    def _senders(server: Server) -> tuple[WalSender, ...]:
        return tuple(
            WalSender(
                usename="replicator",
                application_name=one.name,
                client_addr="127.0.0.1",
                state="streaming",
                sync_state="async",
                sync_priority=0,
            )
            for one in server.followers
        )

    @staticmethod
    def _directory(server: Server) -> DataDirectory:
        directory, log = server.directory, server.log
        if directory.state is DirectoryState.EMPTY:
            return DataDirectory(state=DirectoryState.EMPTY)
        in_recovery = directory.control_state in {"in archive recovery", "shut down in recovery"}
        control = ControlData(
            system_id=directory.system_id,
            state=directory.control_state,
            timeline=directory.checkpoint_timeline,
            checkpoint_lsn=directory.checkpoint,
            redo_lsn=directory.checkpoint,
            min_recovery_lsn=log.end if in_recovery else None,
            min_recovery_timeline=log.timeline if in_recovery else None,
            wal_log_hints=True,
            major_version=15,
        )
        return DataDirectory(
            state=directory.state,
            control=control if directory.system_id else None,
            has_standby_signal=directory.standby_signal,
            mark=directory.mark,
            wal_end=log.end if server.has_known_end else None,
            wal_end_timeline=log.timeline if server.has_known_end else None,
            history=log.history,
        )


class AgentPeers:
    """Other machines, asked through their REST servers (:class:`hacore.ports.Peers`)."""

    def __init__(self, engine: Engine, host: Host) -> None:
        self._engine = engine
        self._host = host

    def ask(self, members: Sequence[Member], *, timeout_s: float) -> tuple[PeerState, ...]:
        """Ask all at once; the slowest answer decides how long it takes."""
        network, me = self._host.network, self._host.name
        answers, longest = [], 0.0
        for member in members:
            other = self._host.find_host(member.name)
            took = network.delay(me, member.name) + network.delay(member.name, me)
            is_there = other is not None and other.is_on and other.gate.is_open and network.connects(me, member.name)
            if other is None or not is_there or took >= timeout_s:
                answers.append(PeerState(name=member.name, reachable=False))
                longest = timeout_s
            else:
                answers.append(_status(other))
                longest = max(longest, took)
        self._engine.sleep(longest)
        return tuple(answers)


def _status(host: Host) -> PeerState:
    """What ``GET /patroni`` answers."""
    server = host.server
    is_up = server.serves
    return PeerState(
        name=host.name,
        reachable=True,
        role=server.role if is_up else None,
        state="running" if is_up else _state_word(server),
        timeline=server.log.timeline if is_up else None,
        lsn=server.log.end if is_up else None,
        failover_priority=host.tags.failover_priority,
        nofailover=not host.tags.may_lead,
        refuses_election=host.refuses_election or host.disk_is_full,
        is_hacore=True,
        system_id=server.directory.system_id or None,
        streams=server.source is not None if is_up and server.role is Role.STANDBY else None,
    )


def _state_word(server: Server) -> str:
    died = server.state is ServerState.STOPPED and server.directory.control_state == "in production"
    return "crashed" if died else str(server.state)


class AgentDisk:
    """The machine's disk (:class:`hacore.ports.Disk`)."""

    def __init__(self, engine: Engine, host: Host) -> None:
        self._engine = engine
        self._host = host

    def load(self) -> Memory:
        """Read."""
        return self._host.memory

    def store(self, memory: Memory) -> None:
        """Write and flush."""
        self._engine.sleep(0.002)
        if self._host.disk_is_full:
            raise DataDirectoryError(f"{self._host.name}: no space")
        self._host.memory = replace(memory)
