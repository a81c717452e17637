"""Does to the cluster what a person at the keys asks for, one thing at a time, and measures what each has cost the writers.

It owns the state of a live demonstration and hands it out as frozen scenes. It does not know how they look.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from hacore.demo.harm import HARMS, Harm
from hacore.demo.judgement import Crash, Judgement, allowed_wal_bytes, judge
from hacore.demo.pulse import SLOT_S, SLOTS, rate_of, rows_per_slot
from hacore.demo.scene import Entry, MemberRow, Mood, Scene, Writes
from hacore.demo.stage import LAG_LIMIT_BYTES, TTL_S, become_whole
from hacore.demo.watching import Changes, is_stopped, look
from hacore.errors import HacoreError
from hacore.guard.processes import parent_of
from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.history import HistoryReport, WriteLoad, boot_s

_READY_S: Final = 600.0  # a person sees what goes on, and can leave
_LOOK_EACH_S: Final = 0.3
_ROWS_AFTER: Final = 20  # acknowledged by one node, before a gap is taken for over
_ENTRIES: Final = 200
_PAUSE_S: Final = 0.05
_PACE_S: Final = 0.01
_IDLE_AFTER_S: Final = 600.0
_IDLE_PACE_S: Final = 1.0  # nobody is looking: each row is remembered to the end
_LAST_LOOK_S: Final = 5.0
_EXPECTED: Final = (HacoreError, OSError)  # a TimeoutError, too, is one of these


class Director:
    """A live demonstration on a cluster whose nodes were started."""

    def __init__(self, cluster: Cluster, title: str) -> None:
        self._cluster = cluster
        self._title = title
        self._began_at = self._touched_at = boot_s()
        self._load = WriteLoad(cluster.dsns, pace_s=_PACE_S)
        self._writing_since: float | None = None
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._busy = threading.Lock()  # held while one thing is done and measured
        self._busy_with: str | None = "the cluster"
        self._log: deque[Entry] = deque(maxlen=_ENTRIES)
        self._rows = tuple(MemberRow(name=name) for name in cluster.nodes)
        self._report: HistoryReport | None = None
        self._settled_at = self._began_at
        self._hurt: ClusterNode | None = None  # just being killed
        self._frozen: dict[str, int] = {}  # the agent's process
        self._crashes: list[Crash] = []
        self.gaps: list[str] = []

    def begin(self) -> None:
        """Begin to watch; the writers follow as soon as there is a cluster."""
        self._note("an empty store: each waits one ttl for a leader, then one initializes", Mood.PLAIN)
        self._busy.acquire()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        threading.Thread(target=self._at_work, args=(self._open,), name="opening", daemon=True).start()

    def press(self, key: str) -> None:
        """Do what a key means; one without a meaning does nothing."""
        self._touched_at = boot_s()
        if key == "r":
            self._revive()
        elif key in HARMS:
            self._harm(HARMS[key])

    def scene(self) -> Scene:
        """Show what is there to be seen."""
        now = boot_s()
        if self._writing_since is not None:
            self._load.pace_s = _IDLE_PACE_S if now - self._touched_at > _IDLE_AFTER_S else _PACE_S
        return Scene(
            title=self._title,
            elapsed_s=now - self._began_at,
            members=tuple(
                replace(row, trouble=self._trouble(self._cluster[row.name])) for row in self._rows
            ),  # at once, not at the next look
            writes=self._writes(now),
            log=tuple(self._log),
            busy_with=self._busy_with,
        )

    def conclude(self) -> tuple[HistoryReport | None, Judgement | None]:
        """End everything but the cluster, and judge. ``None``: nothing was written."""
        with self._starting:  # from here on nothing is started
            self._ending.set()
        if self._writing_since is not None and self._cluster.leader() is not None:
            report = self._load.report(timeout_s=_LAST_LOOK_S)
            self._report = report if report.read_back else self._report
        self._load.stopping.set()
        return self._report, judge(self._report, self._crashes) if self._report is not None else None

    # --------------------------------------------------------------------------------------------- looking
    def _watch(self) -> None:
        answered: str | None = None
        changes = Changes()
        while not self._ending.is_set():
            rows, answered = look(self._cluster, self._trouble, first=answered)
            for text, mood in changes.told(rows):
                self._note(text, mood)
            self._rows = rows
            self._ending.wait(_LOOK_EACH_S)

    def _trouble(self, node: ClusterNode) -> str | None:
        process = node.process
        if process is not None and process.poll() is not None:
            return "killed" if process.returncode < 0 else f"ended with exit code {process.returncode}"
        pid = self._frozen.get(node.name)
        return "agent frozen" if pid is not None and is_stopped(pid) else None

    def _writes(self, now: float) -> Writes | None:
        if self._writing_since is None:
            return None
        report, progress = self._report, self._load.progress()
        acks = [attempt.ended_at for attempt in self._load.attempts(now - SLOT_S * SLOTS) if attempt.acknowledged]
        recent = rows_per_slot(acks, self._writing_since, now)
        return Writes(
            rate=rate_of(recent),
            recent=recent,
            silent_s=now - max(progress.last_ack_at.values(), default=now),
            acknowledged=progress.acknowledged,
            unknown=progress.unknown,
            lost=report.lost_rows if report else 0,
            two_writers=len(report.overlaps) if report else 0,
            last_gap=self.gaps[-1] if self.gaps else None,
        )

    def _note(self, text: str, mood: Mood) -> None:
        self._log.append(Entry(at=time.strftime("%H:%M:%S"), text=text, mood=mood))

    # ---------------------------------------------------------------------------------------------- doing
    def _at_work(self, work: Callable[[], None]) -> None:
        """Do something on a thread of its own; the right to it is given back at the end."""
        try:
            work()
        except _EXPECTED as error:
            if not self._ending.is_set():
                self._note(str(error), Mood.BAD)
        finally:
            self._busy_with, self._hurt = None, None
            self._busy.release()

    def _open(self) -> None:
        become_whole(self._cluster, self._start_again, deadline_s=_READY_S)
        if not self._ending.is_set():
            self._load.start(timeout_s=_READY_S)
            self._settled_at = boot_s()
            self._writing_since = self._settled_at
            self._note("the cluster is whole, a writer at each node begins: now hurt it", Mood.GOOD)

    def _start_again(self, node: ClusterNode, code: int) -> None:
        with self._starting:
            if not self._ending.is_set():
                self._note(f"{node.name} ended with exit code {code} and is started again", Mood.BAD)
                node.start()

    def _harm(self, harm: Harm) -> None:
        if not self._busy.acquire(blocking=False):
            self._note(f"one thing at a time: waiting for {self._busy_with}", Mood.HINT)
            return
        leader = next((self._cluster[row.name] for row in self._rows if row.leads and row.trouble is None), None)
        if leader is None or self._writing_since is None:
            self._busy.release()
            self._note("there is no primary to do this to", Mood.HINT)
            return
        self._busy_with = "the next write"
        threading.Thread(target=self._at_work, args=(lambda: self._do(harm, leader),), name=harm.done, daemon=True).start()

    def _do(self, harm: Harm, node: ClusterNode) -> None:
        servers = node.server_pids()
        self._note(f"{node.name}: {harm.doing}", Mood.DONE_TO)
        if harm.freezes:
            self._frozen[node.name] = node.pid("agent")
        self._hurt = node
        at = boot_s()
        allowed = allowed_wal_bytes(self._load.attempts(at - 2 * TTL_S), node.name, at, ttl_s=TTL_S, lag_limit_bytes=LAG_LIMIT_BYTES)
        harm.do(self._cluster, node)
        self._hurt = None
        if not _until(self._ending, lambda: not any(parent_of(pid) for pid in servers)):
            return
        then = self._load.progress().per_node
        if not _until(self._ending, lambda: _writer_since(self._load, then) is not None):
            return
        now = boot_s()
        if not harm.is_planned and _writer_since(self._load, then) != node.name:
            self._crashes.append(Crash(node=node.name, since=self._settled_at, at=now, allowed_wal_bytes=allowed))
        self._tell_cost(f"{node.name}: {harm.done}", at, now, allowed)
        self._settled_at = now

    def _tell_cost(self, what: str, at: float, now: float, allowed: int) -> None:
        before, report = self._report, self._load.report()
        if not report.read_back:
            self._note("the rows could not be read: what was lost is not known", Mood.BAD)
            return
        self._report = report
        gap_ms = report.gap_ms(at, within_s=now - at) or 0.0
        lost = report.lost_rows - (before.lost_rows if before else 0)
        wal = sum(loss.wal_bytes or 0 for loss in report.lost) - (sum(loss.wal_bytes or 0 for loss in before.lost) if before else 0)
        cost = f"{lost} rows lost, {wal:,} of {allowed:,} bytes of WAL that it may" if lost else "nothing lost"
        self.gaps.append(f"{gap_ms:,.0f} ms, {cost} ({what})")
        self._note(f"write gap {gap_ms:,.0f} ms, {cost}", Mood.GOOD)
        for overlap in report.overlaps[len(before.overlaps) if before else 0 :]:
            self._note(str(overlap), Mood.BAD)

    def _revive(self) -> None:
        """Start nodes that are down and let stopped agents go on."""
        revived = []
        for node in self._cluster.nodes.values():
            if node is self._hurt:
                continue
            if node.process is None or node.process.poll() is not None:
                node.start()
                revived.append(f"{node.name} is started again")
            elif self._trouble(node) is not None:
                with contextlib.suppress(HacoreError):  # it was ended meanwhile, for not having moved
                    node.cont("agent")
                revived.append(f"{node.name}: its agent goes on")
        self._note("; ".join(revived) or "nothing is down", Mood.DONE_TO if revived else Mood.HINT)


def _writer_since(load: WriteLoad, then: Mapping[str, int]) -> str | None:
    """The node that has acknowledged further rows."""
    return next((name for name, rows in load.progress().per_node.items() if rows >= then[name] + _ROWS_AFTER), None)


def _until(ending: threading.Event, condition: Callable[[], bool]) -> bool:
    """Wait; the answer is false when the end came first."""
    while not condition():
        if ending.wait(_PAUSE_S):
            return False
    return True
