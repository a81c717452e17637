"""Many agents without PostgreSQL on one etcd: ``python -m bench.fleet [--agents 200] [--members 2] [--processes 4] [--seconds 120]``.

Each agent is the real loop on the real client of the store around a server of paper (hacore.testing.fleet); each process runs an equal part
of the clusters. Measured: what the store is asked and what that costs it, how long renewals take and how late they come.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.steady import cpu_s, pss_mib
from bench.stores import EtcdStore
from hacore.model.clock import BootClock
from hacore.model.policy import Times
from hacore.testing.etcd import Etcd
from hacore.testing.fleet import Fleet
from hacore.testing.workdir import work_directory
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings

BYTES_PER_S = 10_000.0  # positions move, so that every member writes its record in each turn


def part(arguments: argparse.Namespace) -> int:
    """Run a part of the fleet in this process; write what was measured as JSON, once somebody has closed our input."""
    times = Times(ttl_s=arguments.ttl, loop_wait_s=arguments.loop_wait, retry_timeout_s=arguments.retry_timeout)
    fleet = Fleet(EtcdPlugin, EtcdSettings(endpoints=(arguments.part,)), times=times, bytes_per_s=arguments.bytes)
    names = [f"c{number}" for number in range(arguments.first, arguments.first + arguments.clusters)]
    clock = BootClock()
    with fleet.running(names, members=arguments.members):
        deadline = time.monotonic() + 3 * arguments.ttl + 30
        while len(fleet.leaders()) < len(names) and time.monotonic() < deadline:
            time.sleep(0.2)
        print(json.dumps({"leaders": len(fleet.leaders())}), flush=True)
        sys.stdin.readline()
        since, turns = clock.now(), fleet.log.turns
        sys.stdin.readline()
        took = [one.took_s for one in fleet.log.renewals if one.asked_at >= since]
        found = {"took_s": took, "gaps_s": fleet.log.gaps_s(since), "turns": fleet.log.turns - turns, "failures": len(fleet.log.failures)}
        print(json.dumps(found), flush=True)
    return 0


@contextlib.contextmanager
def parts(arguments: argparse.Namespace, url: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the processes, and wait until every cluster has a leader."""
    clusters = arguments.agents // arguments.members
    shares = [clusters // arguments.processes + (index < clusters % arguments.processes) for index in range(arguments.processes)]
    started: list[subprocess.Popen[str]] = []
    try:
        for index, share in enumerate(shares):
            command = [sys.executable, "-m", "bench.fleet", "--part", url, "--first", str(sum(shares[:index])), "--clusters", str(share)]
            for name in ("members", "ttl", "loop_wait", "retry_timeout", "bytes"):
                command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process, share in zip(started, shares, strict=True):
            assert answer(process)["leaders"] == share, "not every cluster has a leader"
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def measure(arguments: argparse.Namespace, etcd: Etcd) -> dict[str, float]:
    store = EtcdStore(etcd)
    with parts(arguments, etcd.members[0].url) as processes:
        time.sleep(2 * arguments.loop_wait)
        for process in processes:
            tell(process)
        began, count, spent = time.monotonic(), store.count(), cpu_s(store.processes())
        time.sleep(arguments.seconds)
        seconds, count, spent = time.monotonic() - began, store.count() - count, cpu_s(store.processes()) - spent
        memory = sum(map(pss_mib, store.processes()))
        for process in processes:
            tell(process)
        found = [answer(process) for process in processes]
    took = sorted(one for part in found for one in part["took_s"])
    gaps = [one for part in found for one in part["gaps_s"]]
    return {
        "requests to the store, a second": count.requests / seconds,
        "of these, writes": count.writes / seconds,
        "requests to the store, an agent and minute": count.requests / seconds * 60 / arguments.agents,
        "CPU of the store, percent of a core": spent / seconds * 100,
        "memory of the store, PSS, MiB": memory,
        "turns, an agent and minute": sum(part["turns"] for part in found) / seconds * 60 / arguments.agents,
        "renewals": len(took),
        "renewal, median, ms": took[len(took) // 2] * 1000,
        "renewal, 99 of 100, ms": took[int(len(took) * 0.99)] * 1000,
        "renewal, longest, ms": took[-1] * 1000,
        "longest time between two renewals of a leader, s": max(gaps),
        "calls that were not answered": sum(part["failures"] for part in found),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--members", type=int, default=2, help="agents of one cluster")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--ttl", type=float, default=30.0)
    parser.add_argument("--loop-wait", type=float, default=10.0)
    parser.add_argument("--retry-timeout", type=float, default=10.0)
    parser.add_argument("--bytes", type=float, default=BYTES_PER_S, help="WAL of a cluster in a second; 0: nobody writes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--clusters", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        return part(arguments)
    with work_directory("fleet-") as directory, Etcd(directory.path) as etcd:
        found = measure(arguments, etcd)
    table = Table("", "", title=f"{arguments.agents} agents in clusters of {arguments.members} on one etcd")
    for name, value in found.items():
        table.add_row(name, f"{value:.1f}" if value % 1 else f"{value:.0f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    late_s = found["longest time between two renewals of a leader, s"] - arguments.loop_wait
    return int(late_s > arguments.loop_wait)


if __name__ == "__main__":
    sys.exit(main())
