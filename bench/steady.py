"""What a cluster costs while nothing happens: CPU time, memory, requests to the store. PostgreSQL's own processes are not counted."""

import os
import struct
import time
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

import psutil

from bench import rest
from bench.figures import Book
from bench.side import Side, managers
from hacore.testing.mixed import MixedNode

CPUCLOCK_SCHED = 2  # of the kernel: the clock of a process, counted by the scheduler
PAGE = 4096
PRESENT = 1 << 63
FRAME = (1 << 55) - 1


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


def measure(side: Side, book: Book, *, seconds: float) -> None:
    side.wait_whole()
    leader = side.leader
    replicas = [node for node in side.cluster.nodes.values() if node is not leader]
    teams = {node.name: managers(node) for node in side.cluster.nodes.values()}
    spent = {name: cpu_s(team) for name, team in teams.items()}
    requests, began = side.store_requests(), time.monotonic()
    time.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    requests = side.store_requests() - requests
    spent = {name: (cpu_s(team) - spent[name]) / minutes for name, team in teams.items()}
    product = side.product
    book.figure("CPU of the leader's node", "ms a minute", aim=1.0).add(product, spent[leader.name] * 1000)
    figure = book.figure("CPU of a standby's node", "ms a minute", aim=1.0)
    for node in replicas:
        figure.add(product, spent[node.name] * 1000)
    book.figure("requests to the store, three nodes", "a minute").add(product, requests / minutes)
    memory(product_side=side, book=book, nodes=[leader, *replicas])


def memory(*, product_side: Side, book: Book, nodes: Iterable[MixedNode]) -> None:
    for node in nodes:
        team = managers(node)
        book.figure("memory of a node, PSS", "MiB", aim=1.4, digits=1).add(product_side.product, sum(map(pss_mib, team)))
        if os.geteuid() == 0:
            book.figure("memory of a node, its pages counted once", "MiB", digits=1).add(product_side.product, alone_mib(team))


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
