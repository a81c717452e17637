"""When addresses are announced: a few times when they have come, then every so often, on a thread of its own.

It never announces what is not here any more or what the lease does not cover: of two holders clients take the one that spoke last.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hacore.model.clock import Clock, Instant
from hacore_router_vip import wire
from hacore_router_vip.kernel import KernelRefusedError, standing
from hacore_router_vip.settings import Ip, VipSettings
from hacore_router_vip.wire import Place

logger = logging.getLogger(__name__)

_LISTEN_S: Final = 0.3  # for another holder; a host on the same link answers within milliseconds
_LEAST_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be announced now."""

    ips: tuple[Ip, ...]
    place: Place
    until: Instant  # the end of the lease
    clock: Clock
    with_packets: bool  # else the kernel is made to do it


@dataclass(slots=True)
class Findings:
    """What came of it, for people and metrics."""

    announced: int = 0
    duplicates: dict[Ip, str] = field(default_factory=dict)  # hardware address of the other holder
    problem: str | None = None  # why the last announcement was not made


class Announcer:
    """The thread, begun with the first task. All methods may be called from any other."""

    def __init__(self, settings: VipSettings, say: Callable[[Task], None] | None = None) -> None:
        self._settings = settings
        self._say = self._speak if say is None else say
        self._changed = threading.Condition()
        self._task: Task | None = None
        self._left = 0  # of the first announcements, which follow quickly
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self.findings = Findings()

    def hold(self, task: Task, *, anew: bool) -> None:
        """Announce these from now on; ``anew``: quickly a few times, because one of them has just come."""
        with self._changed:
            begins = anew or self._task is None
            self._task = task
            if begins:
                self._left = self._settings.announcements
                self._changed.notify_all()
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._serve, name="vip announcer", daemon=True)
                self._thread.start()

    def let_go(self) -> None:
        """Announce nothing any more. One that is under way ends; its address was here when it began."""
        with self._changed:
            self._task = None
            self._left = 0
            self.findings.duplicates = {}
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed, self._task = True, None
            self._changed.notify_all()

    # --- its own thread --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._task is not None or self._is_closed)
                if self._is_closed:
                    return
                task, is_first = self._task, self._left == self._settings.announcements
                self._left = max(0, self._left - 1)
                pause_s = self._pause_s()
            if task is not None:
                self._round(task, asks=self._settings.duplicate_probe and (is_first or self._left == 0))
            with self._changed:
                self._changed.wait_for(self._is_news, pause_s)

    def _pause_s(self) -> float:
        settings = self._settings
        if self._left == 0:
            return settings.announce_every_s
        return max(_LEAST_PAUSE_S, settings.announcements_within_s / max(1, settings.announcements - 1))

    def _is_news(self) -> bool:
        return self._is_closed or self._task is None or self._left == self._settings.announcements

    def _round(self, task: Task, *, asks: bool) -> None:
        """Announce once, and ask for others."""
        try:
            self._say(task)
            if asks and task.with_packets:
                self._note_holders(task)
        except (OSError, KernelRefusedError) as error:
            self._note_problem(str(error))

    def _speak(self, task: Task) -> None:
        here = {one.ip for one in standing(task.ips) if one.index == task.place.link.index}
        announce = wire.announce if task.with_packets else wire.announce_without_packets
        for ip in task.ips:
            if ip in here and task.clock.now() < task.until and self._is_wanted():
                announce(ip, task.place)
                self.findings.announced += 1
        self._note_problem(None)

    def _is_wanted(self) -> bool:
        with self._changed:
            return self._task is not None

    def _note_holders(self, task: Task) -> None:
        if not self._is_wanted():
            return
        claims = wire.other_holders(task.ips, task.place, _LISTEN_S)
        found = {claim.ip: claim.mac.hex(":") for claim in claims}
        for ip, mac in found.items():
            if self.findings.duplicates.get(ip) != mac:
                logger.warning("another machine has the floating address, too", extra={"address": str(ip), "hardware_address": mac})
        with self._changed:
            self.findings.duplicates = found if self._task is not None else {}

    def _note_problem(self, problem: str | None) -> None:
        if problem is not None and problem != self.findings.problem:
            logger.warning("the floating address cannot be announced", extra={"reason": problem})
        self.findings.problem = problem
