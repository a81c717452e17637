"""Fixtures for whole clusters: one that tests of a worker share for as long as none of them fails, and stores for own ones.

A shared cluster is whole at the beginning of each test. A test may do with it whatever ends in a whole cluster again.
"""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from hacore.testing.cluster import Cluster
from hacore.testing.workdir import WorkDirectory, work_directory
from tests.chaos.consul_at_work import ConsulAtWork
from tests.chaos.kubernetes_at_work import KubernetesAtWork
from tests.chaos.stores import EtcdAtWork, SqliteAtWork, StoreAtWork
from tests.chaos.zookeeper_at_work import ZookeeperAtWork

STORES: dict[str, Callable[[Path], StoreAtWork]] = {
    "sqlite": SqliteAtWork,
    "etcd": EtcdAtWork,
    "consul": ConsulAtWork,
    "kubernetes": KubernetesAtWork,
    "zookeeper": ZookeeperAtWork,
}
OTHERS: dict[str, Callable[[Path], StoreAtWork]] = {
    "three etcds": lambda directory: EtcdAtWork(directory, size=3, proxies=True),
    "three consuls": lambda directory: ConsulAtWork(directory, size=3, proxies=True),
    "three zookeepers": lambda directory: ZookeeperAtWork(directory, size=3, proxies=True),
}
EVERYDAY = ("sqlite", "etcd")
BULK = ("base", "pg_wal")


def on(*kinds: str, often: Collection[str] = EVERYDAY, own: bool = False) -> pytest.MarkDecorator:
    """Run a test on these kinds of store: each time on those of ``often``, on the others where slow tests are run.

    :param own: the test starts a cluster of its own, in whatever worker is free; else those of one kind share one in one worker.
    """

    def marks(kind: str) -> list[pytest.MarkDecorator]:
        group = [] if own else [pytest.mark.xdist_group(f"cluster on {kind}")]
        return group if kind in often else [*group, pytest.mark.slow]

    return pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks(kind)) for kind in kinds])


on_every_store = on(*STORES, often=STORES)
on_all_stores = on(*STORES)  # each time on two of them
on_etcd = on("etcd")
on_three_servers = on(*OTHERS, often=("three etcds",))
own_on_every_store = on(*STORES, often=STORES, own=True)
own_on_all_stores = on(*STORES, own=True)
own_on_sqlite = on("sqlite", own=True)


@dataclass(slots=True)
class Site:
    """A running cluster with its store and its directory."""

    kind: str
    directory: WorkDirectory
    store: StoreAtWork
    cluster: Cluster
    stack: ExitStack

    def close(self, *, keep: bool) -> None:
        self.directory.keep = keep
        if keep:
            for bulk in [path for name in BULK for path in self.directory.path.glob(f"*/{name}")]:
                shutil.rmtree(bulk, ignore_errors=True)
        self.stack.close()


class Pool:
    """At most one running cluster in each worker."""

    def __init__(self) -> None:
        self._site: Site | None = None

    def take(self, kind: str) -> Site:
        if self._site is None or self._site.kind != kind:
            self.close()
            self._site = _build(kind)
        return self._site

    def close(self, *, keep: bool = False) -> None:
        if self._site is not None:
            site, self._site = self._site, None
            site.close(keep=keep)


def _build(kind: str) -> Site:
    with ExitStack() as stack:
        directory = stack.enter_context(work_directory(f"{kind.replace(' ', '-')}-"))
        store = stack.enter_context(make_store(kind, directory.path))
        cluster = stack.enter_context(Cluster(directory.path, store=store.section))
        return Site(kind, directory, store, cluster, stack.pop_all())


def make_store(kind: str, directory: Path) -> StoreAtWork:
    """A store of its own for a cluster of its own."""
    return {**STORES, **OTHERS}[kind](directory)


@pytest.fixture(scope="session")
def cluster_pool() -> Iterator[Pool]:
    pool = Pool()
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def site(kind: str, cluster_pool: Pool, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The worker's cluster on this kind of store, whole; thrown away after a test that failed."""
    failures = request.session.testsfailed
    found = cluster_pool.take(kind)
    request.node.add_report_section("setup", "logs of the cluster", str(found.directory.path))
    try:
        found.cluster.wait_ready()
        yield found
    except BaseException:
        cluster_pool.close(keep=True)
        raise
    if request.session.testsfailed > failures:
        cluster_pool.close(keep=True)


@pytest.fixture
def cluster(site: Site) -> Cluster:
    return site.cluster


@pytest.fixture
def store(site: Site) -> StoreAtWork:
    return site.store
