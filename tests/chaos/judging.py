"""Writers on every node while something happens, the renewals that the store has seen meanwhile, and the verdict at the end.

The fence instant F is computed from those renewals as the store showed them to an observer, not from what any agent believes.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from hacore.testing.cluster import Cluster
from hacore.testing.history import HistoryReport, WriteLoad, boot_s
from tests.chaos.stores import StoreAtWork

TTL_S = 5.0
MARGIN_S = TTL_S / 5
AT_ONCE_S = 1.0
LAG_BYTES = 1 << 20  # maximum_lag_on_failover


@dataclass(frozen=True, slots=True)
class Renewal:
    """A change of the own record: when an observer heard of it (it was sent before), and whose it was."""

    seen_at: float
    holder: str
    token: int
    heartbeat: int


class RenewalWatch(threading.Thread):
    """Notes each renewal while the block lasts."""

    def __init__(self, store: StoreAtWork) -> None:
        super().__init__(name="renewals", daemon=True)
        self._store = store
        self._stop_it = threading.Event()
        self.renewals: list[Renewal] = []

    def run(self) -> None:
        self._store.follow_own(self._seen, self._stop_it)

    def _seen(self, text: str) -> None:
        now, own = boot_s(), json.loads(text)
        self.renewals.append(Renewal(now, own["holder"], own["token"], own["heartbeat"]))

    def close(self) -> None:
        self._stop_it.set()
        self.join(5.0)

    def fence_instant(self, holder: str, *, token: int) -> float:
        """F of the last renewal under this token: from then on the holder may not have acknowledged anything."""
        return max(one.seen_at for one in self.renewals if one.holder == holder and one.token == token) + TTL_S - MARGIN_S


@dataclass(slots=True)
class Writing:
    """A write load on a cluster, and what was seen of it. The report is there once the block has been left."""

    cluster: Cluster
    load: WriteLoad
    renewals: RenewalWatch
    began_at: float = field(default_factory=boot_s)
    _report: HistoryReport | None = None

    @property
    def report(self) -> HistoryReport:
        assert self._report is not None, "only after the block"
        return self._report

    def conclude(self) -> None:
        self._report = self.load.stop()
        self.renewals.close()

    def rows_go_on(self, *, more: int = 20, deadline_s: float = 60.0) -> None:
        """Wait until a number of further rows was acknowledged, by whomever."""
        before = self.load.progress().acknowledged
        self.cluster.wait_for(lambda: self.load.progress().acknowledged >= before + more, f"{more} further rows", deadline_s)

    def expect_nothing_lost(self) -> None:
        assert self.report.problems() == []

    def expect_no_second_writer(self) -> None:
        assert self.report.overlaps == ()
        assert self.report.read_back

    def expect_losses_only_of(self, node: str, *, since: float) -> None:
        """An unplanned end of a primary may lose what it acknowledged last (safety.md 1), and nobody else anything."""
        self.expect_no_second_writer()
        for loss in self.report.lost:
            assert loss.node == node, str(loss)
            assert loss.first_at > since - TTL_S, str(loss)
            assert loss.wal_bytes is None or loss.wal_bytes <= LAG_BYTES, str(loss)

    def expect_writes_of_others_only_after(self, node: str, event_at: float) -> None:
        """Nobody else acknowledged anything before ``node`` had acknowledged its last row."""
        last = self.report.last_ack(node)
        other = self.report.first_ack_after(event_at, but=node)
        assert last is not None
        assert other is not None
        assert other[1] > last, f"{other[0]} acknowledged {last - other[1]:.3f} s before {node} had ended"


@contextlib.contextmanager
def long_lease(cluster: Cluster, store: StoreAtWork, *, ttl_s: float = 20.0) -> Iterator[None]:
    """A lease that outlasts the start of a Python process on a busy machine, for tests in which it is to be renewed in time."""
    _set_ttl(cluster, store, ttl_s)
    yield
    _set_ttl(cluster, store, TTL_S)


def _set_ttl(cluster: Cluster, store: StoreAtWork, ttl_s: float) -> None:
    reply = cluster.configure(hacore={"ttl": ttl_s})
    assert reply.status == HTTPStatus.OK, reply
    cluster.wait_for(lambda: store.own()["ttl"] == ttl_s, f"a lease of {ttl_s:g} s is published")
    published = store.own()["heartbeat"]
    cluster.wait_for(lambda: store.own()["heartbeat"] > published + 1, "it is in force: a longer one is published first")


@contextlib.contextmanager
def writing(cluster: Cluster, store: StoreAtWork, *, pace_s: float = 0.01) -> Iterator[Writing]:
    """Write to every node while the block lasts."""
    renewals = RenewalWatch(store)
    renewals.start()
    load = WriteLoad(cluster.dsns, pace_s=pace_s)
    observed = Writing(cluster, load, renewals)
    try:
        load.start()
        observed.rows_go_on()
        cluster.wait_for(lambda: renewals.renewals, "a renewal is seen")
        yield observed
        observed.conclude()
    finally:
        load.stopping.set()
        renewals.close()
