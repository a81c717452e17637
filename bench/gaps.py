"""How long a cluster takes no writes, what is lost and whether two nodes took writes at once: one event at a time, under write load."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.side import Side, agent_of, kill, managers
from hacore.testing.history import WriteLoad, boot_s
from hacore.testing.mixed import wait_for

QUIET_S = 1.0  # of undisturbed load before an event and after its end
LATEST_S = 150.0

# Causes the event; what it returns says whether the cluster has got over it, writes aside.
Happening = Callable[[], Callable[[], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one event came to."""

    gap_ms: float
    lost_rows: int
    overlap_ms: float

    def text(self) -> str:
        return f"gap {self.gap_ms:.0f} ms, {self.lost_rows} rows lost, two primaries for {self.overlap_ms:.0f} ms"


def measure(side: Side, happen: Happening) -> Event:
    """Let something happen under load."""
    side.wait_whole()
    load = side.load()
    time.sleep(QUIET_S)
    began_at = boot_s()
    is_over = happen()
    wait_for(is_over, f"{side.product.value} to get over it", LATEST_S)
    wait_for_writes(load)
    time.sleep(QUIET_S)
    gap_ms = load.gap_ms(began_at, within_s=LATEST_S)
    side.restart_missing()
    side.wait_whole()
    report = load.stop()
    assert gap_ms is not None, "no write after the event"
    assert report.read_back, "the rows could not be read back"
    overlap_ms = sum(overlap.end - overlap.begin for overlap in report.overlaps) * 1000
    return Event(gap_ms=gap_ms, lost_rows=report.lost_rows, overlap_ms=overlap_ms)


def wait_for_writes(load: WriteLoad) -> None:
    since = boot_s()
    wait_for(lambda: any(at > since for at in load.progress().last_ack_at.values()), "a write to be acknowledged", LATEST_S)


def switchover(side: Side) -> Happening:
    """A planned change of the primary, asked of the leader by REST."""

    def happen() -> Callable[[], bool]:
        leader = side.leader
        candidate = random.choice([name for name in side.cluster.nodes if name != leader.name])
        side.cluster.switchover(leader.name, candidate)
        return lambda: side.cluster[candidate].is_up("/primary")

    return happen


def postmaster_killed(side: Side, *, phase: float) -> Happening:
    """SIGKILL of the primary's postmaster alone: its agent lives."""

    def happen() -> Callable[[], bool]:
        leader = side.leader
        wait_for_phase(side, phase)
        pid = leader.postmaster
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return lambda: any(node.is_up("/primary") and node.postmaster not in {None, pid} for node in side.cluster.nodes.values())

    return happen


def host_lost(side: Side, *, phase: float) -> Happening:
    """SIGKILL of every process of the primary's node."""

    def happen() -> Callable[[], bool]:
        leader = side.leader
        wait_for_phase(side, phase)
        leader.kill_everything()
        return lambda: any(node.is_up("/primary") for node in side.cluster.nodes.values() if node is not leader)

    return happen


def phase_of(number: int, runs: int) -> float:
    """Spread runs evenly over the time between two turns of a loop."""
    return (number + 0.5) / runs


def wait_for_phase(side: Side, phase: float) -> None:
    """Wait until the leader is that far between two turns of its loop, 0 to 1: the gap of whoever looks once a turn depends on it."""
    loop_wait_s = float(json.loads(side.cluster.keys()["config"])["loop_wait"])
    side.wait_for_renewal()
    time.sleep(phase * loop_wait_s)


def agent_killed(side: Side) -> Happening:
    """SIGKILL of the process that talks to the store; PostgreSQL is left alone. Nobody starts it again but its own supervisor."""

    def happen() -> Callable[[], bool]:
        leader = side.leader
        kill([agent_of(leader)])
        return side.settled_after(leader)

    return happen


def managers_killed(side: Side) -> Happening:
    """SIGKILL of every process of the product on the primary's node at one instant; PostgreSQL is not touched."""

    def happen() -> Callable[[], bool]:
        leader = side.leader
        kill(managers(leader))
        return side.settled_after(leader)

    return happen
