"""Long work on a thread of its own, one piece at a time: :class:`JobWorker` implements :class:`hacore.ports.Worker`."""

import logging
import subprocess
import threading
from dataclasses import replace
from typing import Final

import psycopg2

from hacore.errors import ArchiveConflictError, HacoreError
from hacore.guard.client import GuardError
from hacore.model.clock import BootClock, Clock, Instant
from hacore.model.job_steps import enables_writes, kind_of
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.steps import JobStep
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.surroundings import Surroundings
from hacore.postgres.work import carry_out

logger = logging.getLogger(__name__)

_FAULT: Final = "ended by a fault of hacore, see its log"


class JobWorker:
    """Carries out steps that take long, and keeps how each kind ended last."""

    def __init__(self, instance: Instance, around: Surroundings, *, clock: Clock | None = None) -> None:
        self._instance = instance
        self._around = around
        self._clock = clock or BootClock()
        self._lock = threading.Lock()
        self._flight: _Flight | None = None
        self._outcomes: dict[JobKind, Outcome] = {}

    def submit(self, step: JobStep, *, token: int | None = None, command: str | None = None) -> bool:
        """Begin the work; ``False`` where some is in flight. ``token``: of the lease that is held now."""
        with self._lock:
            if self._flight is not None:
                return False
            flight = self._flight = _Flight(step, token, command, self._clock.now())
        logger.info("work begins", extra={"job": flight.kind.value})
        threading.Thread(target=self._work, args=(flight,), name=f"job {flight.kind.value}", daemon=True).start()
        return True

    def state(self) -> JobState | None:
        """Return the work in flight."""
        flight = self._flight
        if flight is None:
            return None
        return JobState(
            kind=flight.kind,
            started_at=flight.started_at,
            progress=flight.job.told,
            cancelled=flight.job.is_cancelled,
            enables_writes=enables_writes(flight.step),
            command=flight.command,
        )

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return how work of each kind ended last."""
        with self._lock:
            return tuple(self._outcomes.values())

    def cancel(self, reason: str) -> None:
        """Ask the work in flight to end."""
        flight = self._flight
        if flight is not None:
            logger.warning("work is cancelled", extra={"job": flight.kind.value, "reason": reason})
            flight.job.cancel(reason)

    def _work(self, flight: "_Flight") -> None:
        error, needs_person = _FAULT, False
        try:
            carry_out(self._instance, flight.job, flight.step, replace(self._around, token=lambda: flight.token))
            error = ""
        except (HacoreError, GuardError, OSError, psycopg2.Error, subprocess.SubprocessError) as failure:
            error = str(failure) or type(failure).__name__
            needs_person = isinstance(failure, ArchiveConflictError)
        finally:
            self._end(flight, error or None, needs_person=needs_person)

    def _end(self, flight: "_Flight", error: str | None, *, needs_person: bool) -> None:
        now = self._clock.now()
        with self._lock:
            before = self._outcomes.get(flight.kind)
            failures = 0 if error is None else 1 + (before.failures if before is not None else 0)
            self._outcomes[flight.kind] = Outcome(
                kind=flight.kind,
                ended_at=now,
                took_s=now - flight.started_at,
                error=error,
                failures=failures,
                command=flight.command,
                needs_person=needs_person,
            )
            self._flight = None
        facts = {"job": flight.kind.value, "took_s": round(now - flight.started_at, 3)}
        if error is None:
            logger.info("work is done", extra=facts)
        else:
            logger.warning("work failed", extra={**facts, "error": error, "failures": failures})
        self._around.on_end()


class _Flight:
    """One piece of work."""

    def __init__(self, step: JobStep, token: int | None, command: str | None, started_at: Instant) -> None:
        self.step = step
        self.token = token
        self.command = command
        self.started_at = started_at
        self.kind = kind_of(step)
        self.job = JobHandle()
