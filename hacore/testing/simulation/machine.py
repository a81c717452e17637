"""One machine of the cluster: what can happen to it as a whole."""

from typing import Final

from hacore.model.policy import Tags
from hacore.testing.simulation.agent import AgentHost, Decide
from hacore.testing.simulation.host import Surroundings
from hacore.testing.simulation.settings import AgentSettings

_THAW_S: Final = 0.05  # after a thaw the kernel's timers come first


class Machine(AgentHost):
    """One node of the cluster."""

    def __init__(self, around: Surroundings, name: str, *, tags: Tags, rate: float, settings: AgentSettings, decide: Decide) -> None:
        super().__init__(around, name, tags=tags, rate=rate, settings=settings, decide=decide)
        self.thawed_at: float | None = None

    def boot(self, offset: float) -> None:
        """Switch the machine on."""
        self.is_on = True
        self.boots += 1
        self.clock.boot(offset)
        self.guard.boot()
        self.start_agent()

    def lose_power(self) -> None:
        """Everything stops; the disk stays."""
        self.is_on = False
        self.end_agent()
        self.traffic.let_go()
        self.gate.forget()
        self.guard.kill()
        self.guard.is_alive = False
        self.server.vanish()

    def freeze(self) -> None:
        """Stop the whole machine; its boot-time clock goes on."""
        self.stopped_at = self.engine.now
        self.gate.close()

    def thaw(self) -> None:
        """Let it go on: the kernel's timers come first, a moment later the processes."""
        if not self.gate.is_open:
            self.thawed_at = self.stopped_at = self.engine.now
            self.traffic.somebody_can()
            self.guard.thaw()
            self.engine.after(_THAW_S, self.gate.open)

    def kill_everything(self) -> None:
        """SIGKILL to every process of ours and of PostgreSQL; the service manager starts anew."""
        self.server.vanish()
        self.guard.kill()
        self.kill_agent()
