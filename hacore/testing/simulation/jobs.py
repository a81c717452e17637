"""The worker of one agent, in virtual time: one piece of long work at a time, which dies with the agent."""

from collections.abc import Callable

from hacore.model.job_steps import enables_writes, kind_of
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.steps import JobStep
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.host import Host
from hacore.testing.simulation.restoring import JobFailedError
from hacore.testing.simulation.work import Running, Work


class AgentWorker:
    """The worker of one agent (:class:`hacore.ports.Worker`)."""

    def __init__(self, engine: Engine, host: Host, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._host = host
        self._wake = wake
        self._dice = engine.dice(f"worker {host.name} {engine.now}")
        self._running: Running | None = None
        self._outcomes: dict[JobKind, Outcome] = {}

    def submit(self, step: JobStep, *, token: int | None = None, command: str | None = None) -> bool:
        """Begin the work."""
        if self._running is not None:
            return False
        running = Running(
            kind=kind_of(step), started_at=self._host.clock.now(), enables_writes=enables_writes(step), token=token, command=command
        )
        self._running = running
        running.task = self._engine.spawn(lambda: self._run(step, running), self._host.agent_gate, self._host.gate)
        return True

    def state(self) -> JobState | None:
        """Return the work in flight."""
        one = self._running
        if one is None:
            return None
        return JobState(
            kind=one.kind,
            started_at=one.started_at,
            cancelled=one.cancelled is not None,
            enables_writes=one.enables_writes,
            command=one.command,
        )

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return how work of each kind ended last."""
        return tuple(self._outcomes.values())

    def cancel(self, reason: str) -> None:
        """Ask the work to end."""
        if self._running is not None and self._running.cancelled is None:
            self._running.cancelled = reason

    def kill(self) -> None:
        """The agent has died, and this thread with it."""
        if self._running is not None and self._running.task is not None:
            self._running.task.kill()

    def _run(self, step: JobStep, running: Running) -> None:
        error: str | None = None
        self._engine.sleep(0.001)
        try:
            Work(self._engine, self._host, self._dice, running).carry_out(step)
        except JobFailedError as failure:
            error = str(failure)
        now = self._host.clock.now()
        before = self._outcomes.get(running.kind)
        failures = (before.failures if before else 0) + 1 if error is not None else 0
        self._outcomes[running.kind] = Outcome(
            kind=running.kind,
            ended_at=now,
            took_s=now - running.started_at,
            error=error,
            failures=failures,
            command=running.command,
        )
        self._host.note(f"job {running.kind}: {error or 'done'}")
        self._running = None
        self._wake()
