"""One task of this node in its own thread: not the worker's, which promotions need."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from hacore.agent.backup_ended import Ended
from hacore.errors import HacoreError, JobCancelledError
from hacore.model.backups import BackupResult, BackupTask
from hacore.model.clock import Clock, Instant
from hacore.postgres.job import JobHandle

logger = logging.getLogger(__name__)

_FAULT: Final = "ended by a fault of hacore, see its log"
_GRACE_S: Final = 60.0  # after it was cancelled: SIGTERM, ten seconds, SIGKILL, and what the plugin does then


class Flight:
    """A task that is being carried out."""

    def __init__(self, task: BackupTask, work: Callable[[BackupTask, JobHandle], Ended], clock: Clock, limit_s: float) -> None:
        self.task = task
        self.job = JobHandle()
        self._work, self._clock, self._limit_s = work, clock, limit_s
        self._began: Instant = clock.now()
        self._began_at: datetime = clock.wall()
        self._cancelled_at: Instant | None = None
        self._ended: Ended | None = None
        self._thread = threading.Thread(target=self._run, name=f"backup {task.work}", daemon=True)

    def start(self) -> None:
        """Begin."""
        logger.info("backup work begins", extra={"work": str(self.task.work), "task": self.task.id, "reason": self.task.reason})
        self._thread.start()

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        return self.job.told or ""

    @property
    def is_over(self) -> bool:
        """Tell whether the thread has ended: a plugin that never comes back keeps this node from any other task."""
        return not self._thread.is_alive()

    def cancel(self, reason: str) -> None:
        """Ask it to end."""
        if self._cancelled_at is None:
            logger.warning("backup work is cancelled", extra={"task": self.task.id, "reason": reason})
            self._cancelled_at = self._clock.now()
            self.job.cancel(reason)

    def look(self) -> BackupResult | None:
        """Return how it ended, ``None`` while it goes on. One that takes too long is cancelled; one that never comes back is given up."""
        now = self._clock.now()
        if self._ended is None and now - self._began > self._limit_s:
            self.cancel(f"max_duration of {self._limit_s:g} s is over")
        if self._ended is None and self._cancelled_at is not None and now - self._cancelled_at > _GRACE_S:
            return self._result(Ended(error="it was cancelled, and the plugin has not come back since"))
        return None if self._ended is None else self._result(self._ended)

    def _result(self, ended: Ended) -> BackupResult:
        return BackupResult(
            id=self.task.id,
            work=self.task.work,
            member=self.task.member,
            began_at=self._began_at,
            ended_at=self._clock.wall(),
            error=ended.error,
            detail=ended.detail,
            backup=ended.backup or self.task.backup,
            is_found_bad=ended.is_found_bad,
            may_lack_wal=ended.may_lack_wal,
        )

    def _run(self) -> None:
        ended = Ended(error=_FAULT)
        try:
            ended = self._work(self.task, self.job)
        except JobCancelledError as error:
            ended = Ended(error=f"cancelled: {error}")
        except (HacoreError, OSError) as error:
            ended = Ended(error=str(error) or type(error).__name__)
        finally:
            self._ended = ended
            facts = {"work": str(self.task.work), "task": self.task.id, "backup": ended.backup}
            if ended.error is None:
                logger.info("backup work is done", extra=facts)
            else:
                logger.error("backup work failed", extra={**facts, "error": ended.error})
