"""The agent of one machine: the real loop, given this machine's ports and nothing else; killed, stopped, ended and started again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.loop import Loop, Turn
from hacore.model.commands import Command
from hacore.model.policy import Tags
from hacore.model.world import Decision, World
from hacore.ports import Ports
from hacore.testing.simulation.engine import Signal, Task
from hacore.testing.simulation.guard import AgentFence
from hacore.testing.simulation.host import Host, Surroundings
from hacore.testing.simulation.jobs import AgentWorker
from hacore.testing.simulation.node import AgentDisk, AgentPeers, AgentPostgres
from hacore.testing.simulation.session import Endpoint, Session
from hacore.testing.simulation.settings import AgentSettings
from hacore.testing.simulation.traffic import AgentTraffic

_AGENT_RESTART_S: Final = 0.5

Decide = Callable[[World], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What a deliberately wrong rule puts in the place of the right one (``mutations``)."""

    name: str = ""
    decide: Callable[[Decide], Decide] | None = None
    ports: Callable[[Ports, Host], Ports] | None = None
    host: Callable[[Host], None] | None = None


@dataclass(slots=True)
class Agent:
    """One life of the agent's process."""

    loop: Loop
    session: Session
    worker: AgentWorker
    traffic: AgentTraffic
    task: Task | None = None


@dataclass(slots=True, kw_only=True)
class AgentWatch:
    """Who is told what the agents do."""

    turned: Callable[["AgentHost", Turn, float], None]  # with the instant at which the turn began
    answered: Callable[["AgentHost", str, bool, str], None] = lambda *_: None  # command, done, text


class AgentHost(Host):
    """A host and its agent, while it has one."""

    def __init__(self, around: Surroundings, name: str, *, tags: Tags, rate: float, settings: AgentSettings, decide: Decide) -> None:
        super().__init__(around, name, tags=tags, rate=rate)
        self.engine = around.engine
        self._settings = settings
        self._decide = decide
        self.wrong = Wrong()
        self.watch: AgentWatch | None = None
        self.exit_code: int | None = None  # of an agent that ended by itself
        self.exits: list[int] = []
        self.is_wanted = True  # the service manager starts the agent again
        self.agent: Agent | None = None
        self.commands: list[Command] = []
        self._due = Signal(self.engine)
        self.server.on_shut_down = self.wake
        self.stopped_at = -1.0  # when the agent or the machine was last stopped, or went on

    def wake(self) -> None:
        """Have the next turn at once."""
        self._due.set()

    def command(self, command: Command) -> None:
        """Hand a person's command to the agent."""
        self.commands.append(command)
        self.wake()

    def kill_agent(self) -> None:
        """SIGKILL to the agent; main starts it again."""
        if self.agent is not None:
            self.end_agent()
            self.engine.after(_AGENT_RESTART_S, lambda: self.gate.pass_or_wait(self.start_agent))

    def stop_agent(self) -> None:
        """SIGSTOP to the agent."""
        self.stopped_at = self.engine.now
        self.agent_gate.close()

    def continue_agent(self) -> None:
        """SIGCONT to the agent."""
        self.stopped_at = self.engine.now
        self.traffic.somebody_can()
        self.agent_gate.open()

    def stopped_since(self, instant: float) -> bool:
        """Tell whether the agent did not run all the time since an instant."""
        return self.stopped_at >= instant - 0.1 or not self.gate.is_open or not self.agent_gate.is_open

    def start_agent(self) -> None:
        """Start an agent where none runs and one is wanted."""
        if self.is_on and self.is_wanted and self.agent is None:
            self._due = Signal(self.engine)
            self.traffic.somebody_can()
            self.agent = self._new_agent()
            self.agent.task = self.engine.spawn(self._live, self.agent_gate, self.gate)

    def start_again(self) -> None:
        """A person starts an agent that had ended by itself."""
        self.exit_code = None
        self.is_wanted = True
        self.start_agent()

    def end_agent(self) -> None:
        """End the agent where it stands."""
        agent, self.agent = self.agent, None
        self.commands.clear()
        if agent is not None:
            agent.session.close()
            agent.traffic.close()
            agent.worker.kill()
            if agent.task is not None:
                agent.task.kill()
        self.agent_gate.forget()

    def _live(self) -> None:
        agent = self.agent
        while agent is not None and agent is self.agent:
            began = self.engine.now
            turn = agent.loop.turn(tuple(self.commands))
            self._publish(turn.world)
            self._answer(turn)
            if self.watch is not None:
                self.watch.turned(self, turn, began)
            if turn.exit is not None:
                self._exit(turn.exit.code, leave_server=turn.exit.leave_server)
                return
            self._due.wait(max(self.clock.to_true(turn.next_at), self.engine.now + 0.001))

    def _publish(self, world: World) -> None:
        self.refuses_election = world.refuses_election is not None
        if self.refuses_election:
            self.refused_election_at = self.engine.now

    def _answer(self, turn: Turn) -> None:
        for identity, (done, text) in turn.answers.items():
            self.commands = [command for command in self.commands if command.id != identity]
            self.note(f"command {identity}: {'done' if done else 'refused'}: {text}")
            if self.watch is not None:
                self.watch.answered(self, identity, done, text)

    def _exit(self, code: int, *, leave_server: bool) -> None:
        self.note(f"agent ends with {code}{', PostgreSQL runs on' if leave_server else ''}")
        self.exit_code, self.is_wanted = code, False
        self.exits.append(code)
        self.commands.clear()
        if not leave_server:
            self.server.quit()
        self.engine.after(0.0, self.end_agent)

    def _new_agent(self) -> Agent:
        around, engine = self.around, self.engine
        worker = AgentWorker(engine, self, self.wake)
        session = Session(
            engine,
            around.network,
            around.store,
            Endpoint(member=self.name, clock=self.clock, faults=self.session_faults, leases=self.leases),
        )
        session.watch(self.wake)
        traffic = AgentTraffic(self.traffic, self.clock, (self.agent_gate, self.gate))
        ports = Ports(
            clock=self.clock,
            dcs=session,
            postgres=AgentPostgres(engine, self),
            worker=worker,
            fence=AgentFence(engine, self.guard),
            peers=AgentPeers(engine, self),
            disk=AgentDisk(engine, self),
            settings=self._settings,
            boot_id=f"{self.name}-{self.boots}",
            publishers=(traffic,) if self.traffic.drains else (),
            new_id=lambda: f"store-{self.name}-{engine.now:.3f}",
        )
        decide = self._decide
        if self.wrong.ports is not None:
            ports = self.wrong.ports(ports, self)
        if self.wrong.decide is not None:
            decide = self.wrong.decide(decide)
        return Agent(loop=Loop(ports, decide), session=session, worker=worker, traffic=traffic)
