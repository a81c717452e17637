"""What clients notice behind HAProxy and PgBouncer: each product as its users have it, hacore with its plugins as well.

HAProxy runs with the same text before both, :mod:`bench.proxies` says which. Push is measured beside pull, because there is no push
with Patroni; PgBouncer leads to HAProxy there, because nobody tells it who leads. Every route of a side is used in the same event.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import gaps, proxies
from bench.clients import TABLE, Clients
from bench.figures import Book
from bench.side import Side
from hacore.testing.history import boot_s
from hacore.testing.mixed import Product, wait_for
from hacore.testing.workdir import give_away

AFTER_S = 2.0  # a proxy that asks may interrupt a second time, when it learns of the old primary after it learnt of the new one
PUSH, USUAL, DOCUMENTED, POOLER = "push", "pull, usual checks", "pull, documented checks", "PgBouncer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A route of hacore and the one of Patroni that it is compared with."""

    ours: str
    theirs: str
    has_aims: bool = False

    @property
    def text(self) -> str:
        return self.ours if self.ours == self.theirs else f"{self.ours} (Patroni: {self.theirs})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What is measured with one plugin in force: the drain of one router would hold up the clients of another."""

    plugin: str
    pairs: tuple[Pair, ...]

    def routes(self, product: Product) -> list[str]:
        return list(dict.fromkeys(pair.ours if product is Product.HACORE else pair.theirs for pair in self.pairs))


PHASES = (
    Phase(
        plugin="haproxy",
        pairs=(
            Pair(ours=PUSH, theirs=USUAL, has_aims=True),
            Pair(ours=PUSH, theirs=DOCUMENTED, has_aims=True),
            Pair(ours=USUAL, theirs=USUAL),
            Pair(ours=DOCUMENTED, theirs=DOCUMENTED),
        ),
    ),
    Phase(plugin="pgbouncer", pairs=(Pair(ours=POOLER, theirs=POOLER),)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What the clients of one route noticed of one event."""

    gap_ms: float
    failed: Counter[str]

    def text(self) -> str:
        worst = "".join(f", {count} x {reason[:60]}" for reason, count in self.failed.most_common(2))
        return f"gap {self.gap_ms:.0f} ms, {self.failed.total()} failed{worst}"


def measure(side: Side, happen: gaps.Happening, routes: Mapping[str, str]) -> dict[str, Passage]:
    """Let something happen while clients work through these routes, given by their connection strings."""
    side.wait_whole()
    side.leader.query(f"CREATE TABLE IF NOT EXISTS {TABLE} (at timestamptz DEFAULT clock_timestamp())")
    loads = {name: Clients(dsn).start() for name, dsn in routes.items()}
    try:
        wait_until_served(loads)
        time.sleep(gaps.QUIET_S)
        began_at = boot_s()
        is_over = happen()
        wait_for(is_over, f"{side.product.value} to get over it", gaps.LATEST_S)
        wait_until_served(loads)
        time.sleep(AFTER_S)
        return {name: passage(load, began_at) for name, load in loads.items()}
    finally:
        for load in loads.values():
            load.stop()
        side.restart_missing()


def wait_until_served(loads: Mapping[str, Clients]) -> None:
    since = boot_s()
    for name, load in loads.items():
        wait_for(lambda load=load: load.all_served_since(since), f"every client to be served by way of {name}", gaps.LATEST_S)  # type: ignore[misc]


def passage(load: Clients, began_at: float) -> Passage:
    gap_ms = load.gap_ms(began_at, within_s=gaps.LATEST_S)
    assert gap_ms is not None, "no write after the event"
    return Passage(gap_ms=gap_ms, failed=Counter(load.failures(began_at)))


class Routes:
    """The part: routers before both sides, and one event after the other."""

    def __init__(self, sides: list[Side], book: Book, say: Callable[[str], None], *, runs: int) -> None:
        self.sides, self.book, self.say, self.runs = sides, book, say, runs

    def run(self, directory: Path) -> None:
        with contextlib.ExitStack() as stack:
            ways = {one.product: stack.enter_context(routers(directory / f"{one.product.value}-routes", one)) for one in self.sides}
            for phase in PHASES:
                for one in self.sides:
                    if one.product is Product.HACORE:
                        one.reload({"routers": [phase.plugin], "plugins": {phase.plugin: ways[one.product].plugins[phase.plugin]}})
                self.phase(phase, {product: found.dsns for product, found in ways.items()})
            for one in self.sides:
                if one.product is Product.HACORE:
                    one.reload({})

    def phase(self, phase: Phase, dsns: Mapping[Product, Mapping[str, str]]) -> None:
        runs = max(1, self.runs - 2)
        self.each("switchover", phase, dsns, self.runs, lambda one, _: gaps.switchover(one), aim=0.4)
        self.each(
            "postmaster killed",
            phase,
            dsns,
            self.runs,
            lambda one, n: gaps.postmaster_killed(one, phase=gaps.phase_of(n, self.runs)),
            aim=0.7,
        )
        self.each("host lost", phase, dsns, runs, lambda one, n: gaps.host_lost(one, phase=gaps.phase_of(n, runs)))

    def each(
        self,
        what: str,
        phase: Phase,
        dsns: Mapping[Product, Mapping[str, str]],
        runs: int,
        event: Callable[[Side, int], gaps.Happening],
        *,
        aim: float | None = None,
    ) -> None:
        """Let an event happen on either side in turn."""
        failed: Counter[tuple[Product, str]] = Counter()
        for number in range(runs):
            for one in self.sides:
                product = one.product
                found = measure(one, event(one, number), {name: dsns[product][name] for name in phase.routes(product)})
                for pair in phase.pairs:
                    name = pair.ours if product is Product.HACORE else pair.theirs
                    figure = self.book.figure(f"{what}, {pair.text}: write gap", "ms", aim=aim if pair.has_aims else None)
                    figure.add(product, found[name].gap_ms)
                for name, passed in found.items():
                    failed[product, name] += passed.failed.total()
                    self.say(f"{what}, {product.value}, {name}: {passed.text()}")
        for pair in phase.pairs:
            no_failure = 0.0 if what == "switchover" and pair.ours == POOLER else None
            figure = self.book.figure(f"{what}, {pair.text}: failed in all runs", "transactions", aim=no_failure)
            figure.add(Product.HACORE, failed[Product.HACORE, pair.ours])
            figure.add(Product.PATRONI, failed[Product.PATRONI, pair.theirs])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How clients reach one side, and what hacore's plugins are to know."""

    dsns: Mapping[str, str]
    plugins: Mapping[str, Any]


@contextlib.contextmanager
def routers(directory: Path, side: Side) -> Iterator[Ways]:
    """Start the routers of one side."""
    directory.mkdir()
    give_away(directory)
    nodes = side.cluster.nodes
    with contextlib.ExitStack() as stack:
        usual = stack.enter_context(proxies.haproxy(directory / "usual", nodes, proxies.usual))
        documented = stack.enter_context(proxies.haproxy(directory / "documented", nodes, proxies.documented))
        dsns = {USUAL: usual.dsn, DOCUMENTED: documented.dsn}
        plugins: dict[str, Any] = {}
        if side.product is Product.HACORE:
            pushed = stack.enter_context(proxies.haproxy(directory / "push", nodes, proxies.pushed))
            pooler = stack.enter_context(proxies.pooler(directory / "pooler"))
            dsns[PUSH] = pushed.dsn
            plugins["haproxy"] = {"stats_socket": str(pushed.socket), "primary_backend": "primary", "standbys": "off", "hold": "on"}
            plugins["pgbouncer"] = {
                "console": pooler.console,
                "databases": {"postgres": {"options": proxies.CREDENTIALS}},
                "databases_file": str(pooler.databases),
            }
        else:
            pooler = stack.enter_context(proxies.pooler(directory / "pooler", usual))
        dsns[POOLER] = pooler.conninfo("postgres")
        yield Ways(dsns=dsns, plugins=plugins)
