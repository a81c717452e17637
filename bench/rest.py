"""Requests per second of the REST API: the process started for real, closed connections as proxies and monitoring make them.

``python -m bench.rest [--seconds 5] [--clients 8] [--idle 0] [--path /primary] [--json]``. ``--idle`` opens that many connections that
never send a whole request, before the clock starts. ``--url http://host:port`` measures a server that runs already.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import socket
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.api.rest import Rest
from tests.unit.api.samples import PRIMARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    path: str
    clients: int
    idle: int
    requests_per_s: float
    median_ms: float
    p99_ms: float
    worst_ms: float
    cpu_ms_per_request: float | None
    pss_mib: float | None


def ask(host: str, port: int, request: bytes, until: float, took: list[float]) -> None:
    while time.monotonic() < until:
        began = time.monotonic()
        with socket.create_connection((host, port), timeout=30) as client:
            client.sendall(request)
            first = client.recv(65536)
            assert first.startswith(b"HTTP/"), first
            while client.recv(65536):
                pass
        took.append(time.monotonic() - began)


def load(host: str, port: int, path: str, until: float, answer: Connection) -> None:
    """One client, in a process of its own: threads of one interpreter would be slower than the server."""
    took: list[float] = []
    ask(host, port, f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode(), until, took)
    answer.send(took)


def cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def measure(host: str, port: int, arguments: argparse.Namespace, pid: int | None) -> Measured:
    with contextlib.ExitStack() as stack:
        for number in range(arguments.idle):
            idle = stack.enter_context(socket.create_connection((host, port), timeout=30))
            idle.sendall(b"GET / HT" if number % 2 else b"")
        cpu_before = cpu_s(pid) if pid is not None else 0.0
        until = time.monotonic() + arguments.seconds
        pipes = []
        for _ in range(arguments.clients):
            here, there = multiprocessing.Pipe()
            multiprocessing.Process(target=load, args=(host, port, arguments.path, until, there)).start()
            pipes.append(here)
        took = sorted(one for pipe in pipes for one in pipe.recv())
    return Measured(
        path=arguments.path,
        clients=arguments.clients,
        idle=arguments.idle,
        requests_per_s=round(len(took) / arguments.seconds, 1),
        median_ms=round(took[len(took) // 2] * 1000, 2),
        p99_ms=round(took[len(took) * 99 // 100] * 1000, 2),
        worst_ms=round(took[-1] * 1000, 2),
        cpu_ms_per_request=round((cpu_s(pid) - cpu_before) * 1000 / len(took), 3) if pid is not None else None,
        pss_mib=round(pss_mib(pid), 1) if pid is not None else None,
    )


def measure_ours(arguments: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        rest = Rest(Path(directory))
        with contextlib.closing(rest):
            rest.start()
            rest.show(replace(PRIMARY, ttl_s=3600.0), lease_s=3600.0)
            assert rest.process is not None
            return measure("127.0.0.1", rest.port, arguments, rest.process.pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--path", default="/primary")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.url:
        parts = urlsplit(arguments.url)
        found = measure(parts.hostname or "127.0.0.1", parts.port or 8008, arguments, None)
    else:
        found = measure_ours(arguments)
    print(json.dumps(asdict(found)) if arguments.json else "\n".join(f"{name}: {value}" for name, value in asdict(found).items()))


if __name__ == "__main__":
    main()
