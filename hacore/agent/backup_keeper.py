"""The thread that keeps the cluster's backups going, as a member and as the leader.

The loop never waits for it: it sees the world by the newest turn, and every change is decided on a fresh reading of the store. So it looks
once after each turn; more often only while work goes on, on whatever member.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from hacore.agent.backup_leader import BackupLeader
from hacore.agent.backup_member import BackupMember
from hacore.errors import DcsUnavailableError, HacoreError
from hacore.model.world import Decision, World

logger = logging.getLogger(__name__)

_LOOK_S: Final = 1.0  # while work goes on


class BackupKeeper:
    """One for each agent."""

    def __init__(self, latest: Callable[[], tuple[World, Decision] | None], member: BackupMember, leader: BackupLeader) -> None:
        self._latest, self._member, self.leader = latest, member, leader
        self._news = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._serve, name="backups", daemon=True)
        self._said: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def turned(self) -> None:
        """Look: the loop has made a turn."""
        self._news.set()

    def close(self, timeout_s: float) -> None:
        """End; work in flight is cancelled."""
        self._is_over = True
        self._news.set()
        self._member.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        latest = None
        while True:
            self._news.wait(_LOOK_S if self._member.is_busy or (latest is not None and _has_task(latest[0])) else None)
            self._news.clear()
            if self._is_over:
                return
            latest = self._latest()
            if latest is not None:
                self._turn("member", self._member.turn, latest[0])
                self._turn("leader", self.leader.turn, latest[0])

    def _turn(self, part: str, turn: Callable[[World], None], world: World) -> None:
        try:
            turn(world)
            self._said.pop(part, None)
        except DcsUnavailableError as error:
            logger.debug("backups: the store did not answer", extra={"error": str(error)})
        except HacoreError as error:
            if self._said.get(part) != str(error):  # a repetition says nothing new
                logger.error("backups are not cared for", extra={"part": part, "error": str(error)})  # noqa: TRY400 - expected
            self._said[part] = str(error)


def _has_task(world: World) -> bool:
    return world.cluster is not None and world.cluster.backups is not None and world.cluster.backups.task is not None
