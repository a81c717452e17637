"""Measure hacore and Patroni side by side: ``python -m bench [--quick] [--store etcd] [--only gaps,routes,rest] [--runs 5]
[--seconds 120] [--json FILE]``.

Each product runs a cluster of three nodes on a store of its own, both at the same time, with the settings that stand below. Events
alternate between them. Takes about three quarters of an hour, with --quick about a quarter of one.
"""

import argparse
import compileall
import os
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

import hacore
from bench import gaps, steady
from bench.figures import Book
from bench.routes import Routes
from bench.side import Side, side
from bench.stores import STORES
from hacore.testing.mixed import Product
from hacore.testing.servers import locate
from hacore.testing.workdir import work_directory

CHECKOUT = Path(__file__).resolve().parent.parent
SETTINGS: dict[str, Any] = {
    "ttl": 30,
    "loop_wait": 10,
    "retry_timeout": 10,
    "maximum_lag_on_failover": 1048576,
    "postgresql": {"use_pg_rewind": True, "use_slots": True},
}
SHORT: dict[str, Any] = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
PARTS = ("steady", "rest", "gaps", "hosts", "agents", "routes")


class Bench:
    """One run: both sides, the figures so far, and how often each thing is done."""

    def __init__(self, sides: list[Side], book: Book, console: Console, directory: Path, *, runs: int, seconds: float) -> None:
        self.sides, self.book, self.console, self.directory, self.runs, self.seconds = sides, book, console, directory, runs, seconds

    def each(self, what: str, runs: int, event: Callable[[Side, int], gaps.Happening], *, aim: float | None = None) -> None:
        """Let an event happen on either side in turn."""
        for number in range(runs):
            for one in self.sides:
                began = time.monotonic()
                found = gaps.measure(one, event(one, number))
                self.book.figure(f"{what}: write gap", "ms", aim=aim).add(one.product, found.gap_ms)
                self.book.figure(f"{what}: rows lost", "rows").add(one.product, found.lost_rows)
                self.book.figure(f"{what}: two primaries took writes for", "ms").add(one.product, found.overlap_ms)
                self.say(f"{what}, {one.product.value}: {found.text()} (took {time.monotonic() - began:.0f} s)")

    def say(self, text: str) -> None:
        self.console.print(text, style="dim", highlight=False, soft_wrap=True)

    def gaps(self) -> None:
        self.each("switchover", self.runs, lambda one, _: gaps.switchover(one), aim=0.15)
        self.each(
            "postmaster killed", self.runs, lambda one, number: gaps.postmaster_killed(one, phase=gaps.phase_of(number, self.runs)), aim=0.1
        )

    def hosts(self) -> None:
        runs = max(1, self.runs - 2)
        self.each("host lost", runs, lambda one, number: gaps.host_lost(one, phase=gaps.phase_of(number, runs)), aim=1.0)
        for one in self.sides:
            one.configure(SHORT)
        self.each("host lost, ttl 20", runs, lambda one, number: gaps.host_lost(one, phase=gaps.phase_of(number, runs)), aim=1.0)
        for one in self.sides:
            one.configure({name: SETTINGS[name] for name in SHORT})

    def agents(self) -> None:
        runs = max(1, self.runs - 3)
        self.each("agent killed", runs, lambda one, _: gaps.agent_killed(one))
        self.each("all of the product killed", runs, lambda one, _: gaps.managers_killed(one))

    def steady(self) -> None:
        for writing in (False, True):
            steady.measure(self.sides, self.book, seconds=self.seconds, writing=writing)
            self.say(f"steady, {'a row each second' if writing else 'at rest'}: done")

    def rest(self) -> None:
        for _ in range(min(3, self.runs)):
            for one in self.sides:
                steady.throughput(one, self.book, seconds=5.0)
        self.say("rest: done")

    def routes(self) -> None:
        Routes(self.sides, self.book, self.say, runs=self.runs).run(self.directory)


def compile_all() -> None:
    """Compile both products, as their installation would have: the user of the servers may not write there, and memory would show it."""
    theirs = next(locate("patroni").directory.parent.glob("lib/python3*/site-packages"))
    for place in (Path(hacore.__file__).parent, Path(sysconfig.get_path("purelib")), CHECKOUT / "plugins", theirs):
        compileall.compile_dir(place, quiet=2, workers=0)


def run(arguments: argparse.Namespace, console: Console) -> Book:
    compile_all()
    book = Book(SETTINGS)
    wanted = arguments.only.split(",")
    seconds = arguments.seconds or (20.0 if arguments.quick else 120.0)
    runs = 2 if arguments.quick else arguments.runs
    with work_directory("bench-") as directory, ExitStack() as stack:
        sides = [stack.enter_context(side(product, directory.path, SETTINGS, arguments.store)) for product in Product]
        bench = Bench(sides, book, console, directory.path, runs=runs, seconds=seconds)
        bench.say("both clusters are whole")
        for name in PARTS:
            if name in wanted:
                getattr(bench, name)()
                book.load_average.append(os.getloadavg()[0])
    return book


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--store", choices=sorted(STORES), default="etcd", help="what both products run on, one each (etcd)")
    parser.add_argument("--runs", type=int, default=5, help="how often each gap is measured (host loss two times less, agents three)")
    parser.add_argument("--seconds", type=float, help="how long each steady state is measured (120, with --quick 20)")
    parser.add_argument("--quick", action="store_true", help="two runs, and shorter ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    unknown = set(arguments.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--only: no part {', '.join(sorted(unknown))}")
    console = Console(width=None if sys.stdout.isatty() else 140)
    book = run(arguments, console)
    book.show(console)
    if arguments.json:
        book.write(arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
