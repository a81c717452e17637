"""Asks a console at a name that nobody tells, and writes for how long the process stood still: ``unnamed.py DIRECTORY``.

Run in namespaces of its own, where the name server takes questions and never answers.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from hacore.errors import PluginUnavailableError
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock
from hacore_router_pgbouncer.console import Console
from hacore_router_pgbouncer.server import takes_connections

NAME, LIMIT_S, TICK_S = "pgbouncer.nowhere.test", 1.0, 0.02


def longest_gap(ended: threading.Event, found: list[float]) -> None:
    before, longest = time.monotonic(), 0.0
    while not ended.wait(TICK_S):
        now = time.monotonic()
        before, longest = now, max(longest, now - before)
    found.append(max(longest, time.monotonic() - before))


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    settings = Path(sys.argv[1], "resolv.conf")
    settings.write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
    subprocess.run(["mount", "--bind", settings, Path("/etc/resolv.conf").resolve()], check=True)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))
    ended, gaps = threading.Event(), list[float]()
    ticking = threading.Thread(target=longest_gap, args=(ended, gaps))
    ticking.start()
    began, said = time.monotonic(), ""
    try:
        Console(f"host={NAME}", None, LIMIT_S).command("SHOW VERSION")
    except PluginUnavailableError as error:
        said = str(error)
    took_s = time.monotonic() - began
    answers = takes_connections(NAME, 5432, "postgres", Resolver(BootClock()))
    asked_s = time.monotonic() - began - took_s
    ended.set()
    ticking.join()
    print(json.dumps({"said": said, "took_s": took_s, "gap_s": gaps[0], "answers": answers, "asked_s": asked_s}))


main()
