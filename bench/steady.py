"""What a cluster costs in steady state: CPU time, memory, requests to the store. PostgreSQL's own processes are not counted."""

import os
import struct
import threading
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import rest
from bench.figures import Book
from bench.side import Side, managers
from bench.stores import Count
from hacore.testing.history import Session

CPUCLOCK_SCHED = 2  # of the kernel: the clock of a process, counted by the scheduler
PAGE = 4096
PRESENT = 1 << 63
FRAME = (1 << 55) - 1
ASK_S = 5.0


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """CPU time so far, to the nanosecond for the processes themselves, to a tick for the children that have ended."""
    total = 0.0
    for process in processes:
        spent = process.cpu_times()
        own_clock = (~process.pid << 3) | CPUCLOCK_SCHED
        total += time.clock_gettime(own_clock) + spent.children_user + spent.children_system
    return total


def pss_mib(process: psutil.Process) -> float:
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def frames(process: psutil.Process) -> set[int]:
    """The physical pages that a process has in its address space. Needs root."""
    found: set[int] = set()
    with Path(f"/proc/{process.pid}/pagemap").open("rb", buffering=0) as table:
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            if "[vsyscall]" in line or "[vvar]" in line or "[vdso]" in line:
                continue
            begin, end = (int(place, 16) // PAGE for place in line.split(" ", 1)[0].split("-"))
            table.seek(begin * 8)
            data = table.read((end - begin) * 8)
            entries = struct.unpack(f"{len(data) // 8}Q", data)
            found.update(entry & FRAME for entry in entries if entry & PRESENT)
    found.discard(0)
    return found


def alone_mib(processes: Iterable[psutil.Process]) -> float:
    """The memory of these processes taken together, each page counted once: what they cost on a machine of their own."""
    found: set[int] = set()
    for process in processes:
        found |= frames(process)
    return len(found) * PAGE / (1 << 20)


@dataclass(frozen=True, slots=True)
class Meter:
    """What one side has spent up to a moment."""

    at: float
    nodes: dict[str, float]  # CPU seconds
    store_s: float  # CPU seconds


def read(side: Side, teams: dict[str, list[psutil.Process]]) -> Meter:
    spent = {name: cpu_s(team) for name, team in teams.items()}
    return Meter(time.monotonic(), spent, cpu_s(side.store.processes()))


def measure(sides: list[Side], book: Book, *, seconds: float, writing: bool) -> None:
    """Let all sides be for a while, at the same time; ``writing``: a row each second on each primary, so that positions move."""
    for one in sides:
        one.wait_whole()
    with ExitStack() as stack:
        if writing:
            for one in sides:
                stack.enter_context(written_to(one))
        teams = [{node.name: managers(node) for node in one.cluster.nodes.values()} for one in sides]
        counts = [one.store.count() for one in sides]  # outside of the time that is measured: it may cost the store more than an agent does
        began = [read(one, team) for one, team in zip(sides, teams, strict=True)]
        time.sleep(seconds)
        ended = [read(one, team) for one, team in zip(sides, teams, strict=True)]
        asked = [one.store.count() - before for one, before in zip(sides, counts, strict=True)]
    for one, first, last, count in zip(sides, began, ended, asked, strict=True):
        write_down(one, book, first, last, count, when="a row each second: " if writing else "")
        if not writing:
            memory(one, book)


def write_down(side: Side, book: Book, first: Meter, last: Meter, asked: Count, *, when: str) -> None:
    minutes, product = (last.at - first.at) / 60, side.product
    leader, nodes = side.leader.name, len(last.nodes)
    for name, spent in last.nodes.items():
        whose = "the leader's" if name == leader else "a standby's"
        ms = (spent - first.nodes[name]) * 1000 / minutes
        book.figure(f"{when}CPU of {whose} node", "ms a minute", aim=1.0).add(product, ms)
    book.figure(f"{when}requests to the store, a node", "a minute", aim=0.7, digits=1).add(product, asked.requests / minutes / nodes)
    book.figure(f"{when}of these, writes", "a minute", digits=1).add(product, asked.writes / minutes / nodes)
    store_ms = (last.store_s - first.store_s) * 1000 / minutes
    book.figure(f"{when}CPU of the store", "ms a minute", aim=1.0).add(product, store_ms)


@contextmanager
def written_to(side: Side) -> Iterator[None]:
    """Write a row each second to the primary, for the time of the block."""
    ended = threading.Event()
    dsn = side.leader.dsn  # asks the store, so it is asked before anything is counted

    def write() -> None:
        session = Session(dsn)
        session.query("CREATE TABLE IF NOT EXISTS beat (at timestamptz)", deadline_s=ASK_S)
        while not ended.wait(1.0):
            session.query("INSERT INTO beat VALUES (now())", deadline_s=ASK_S)
        session.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def memory(side: Side, book: Book) -> None:
    for node in side.cluster.nodes.values():
        team = managers(node)
        book.figure("memory of a node, PSS", "MiB", aim=1.4, digits=1).add(side.product, sum(map(pss_mib, team)))
        if os.geteuid() == 0:
            book.figure("memory of a node, its pages counted once", "MiB", digits=1).add(side.product, alone_mib(team))
    book.figure("memory of the store, PSS", "MiB", digits=1).add(side.product, sum(map(pss_mib, side.store.processes())))


def throughput(side: Side, book: Book, *, seconds: float) -> None:
    """Requests per second of the leader's REST API, the connection closed each time."""
    side.wait_whole()
    leader = side.leader
    for path in ("/primary", "/patroni"):
        team = managers(leader)
        spent = cpu_s(team)
        arguments = Namespace(seconds=seconds, clients=8, idle=0, path=path)
        found = rest.measure("127.0.0.1", leader.rest_port, arguments, None)
        cost_ms = (cpu_s(team) - spent) * 1000 / (found.requests_per_s * seconds)
        book.figure(f"REST, GET {path}", "requests/s", aim=5.0, more_is_better=True).add(side.product, found.requests_per_s)
        book.figure(f"REST, GET {path}: 99 of 100 answered in", "ms", digits=1).add(side.product, found.p99_ms)
        book.figure(f"REST, GET {path}: CPU", "ms a request", digits=3).add(side.product, cost_ms)
