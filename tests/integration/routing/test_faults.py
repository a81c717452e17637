"""A router that hangs, raises, answers nonsense or 2 MB of text in every hook: leases are renewed, fences hold, switchovers go on."""

import time
from collections.abc import Iterator

import pytest

from hacore.model.events import EventKind
from hacore.publish.journal import read_journal
from hacore.testing.cluster import FAST, Cluster, ClusterNode
from hacore.testing.history import boot_s
from hacore.testing.workdir import work_directory
from tests.chaos.judging import TTL_S
from tests.chaos.stores import SqliteAtWork
from tests.integration.routing.recorder import Recorders

pytestmark = [pytest.mark.xdist_group("routing in trouble"), pytest.mark.timeout(400)]

HOOKS = ("route", "drain", "revoke", "probe")
WAYS = ("hang", "raise", "garbage", "flood")
RENEWALS = 8
DRAINING = {"hacore": {**FAST["hacore"], "drain_timeout": 1}}
Trouble = tuple[Cluster, SqliteAtWork, Recorders]


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Trouble]:
    with work_directory(session=request.session) as directory:
        routers, store = Recorders(directory.path), SqliteAtWork(directory.path)
        cluster = Cluster(directory.path, store=store.section, nodes=2, dynamic=DRAINING, local={"*": routers.settings}, start=False)
        for node in cluster.nodes.values():
            routers.install(node)
        with cluster:
            cluster.start()
            cluster.wait_ready()
            yield cluster, store, routers


@pytest.fixture
def trouble(shared: Trouble) -> Iterator[Trouble]:
    cluster, store, routers = shared
    routers.behave()
    cluster.configure(hacore={"drain_policy": None})
    cluster.wait_ready()
    cluster.wait_for(lambda: all(is_well(node) for node in cluster.nodes.values()), "all routers are well")
    cluster.wait_for(lambda: "hold" not in store.own() and not any(map(routers.holds, cluster.nodes.values())), "nothing is held back")
    yield shared
    routers.behave()


def state_of(node: ClusterNode) -> dict[str, str]:
    found = node.status().get("hacore", {}).get("routers", {}).get("recorder", {})
    return {str(key): str(value) for key, value in found.items()}


def is_well(node: ClusterNode) -> bool:
    return state_of(node).get("state") == "applied"


def misbehave(routers: Recorders, way: str) -> None:
    routers.behave(**dict.fromkeys(HOOKS, way))


@pytest.mark.parametrize("way", WAYS)
def test_the_lease_is_renewed_and_a_switchover_goes_on(trouble: Trouble, way: str) -> None:
    cluster, store, routers = trouble
    leader = cluster.the_leader()
    misbehave(routers, way)
    cluster.wait_for(lambda: state_of(leader).get("state") == "degraded", "the router's trouble is shown")
    before = store.own()
    cluster.wait_for(lambda: store.own()["heartbeat"] >= before["heartbeat"] + RENEWALS, f"{RENEWALS} renewals")
    assert store.own()["token"] == before["token"]
    begun = boot_s()
    assert cluster.switchover().status == 200
    new = cluster.the_leader(other_than=leader.name)
    assert routers.told(leader, "drain", since=begun) or way == "hang"  # one that hangs in another hook is not called again
    assert [event.data for event in read_journal(leader.state_dir) if event.kind is EventKind.HANDED_OVER][-1]
    assert "not_drained_ms" in dict([event for event in read_journal(leader.state_dir) if event.kind is EventKind.HANDED_OVER][-1].data)
    cluster.wait_for(lambda: "hold" not in store.own(), "the mark is gone")
    assert new.name == store.records()["leader"]


def test_a_router_that_only_hangs_while_it_holds_work_back_is_left_after_the_time_for_it(trouble: Trouble) -> None:
    cluster, store, routers = trouble
    leader = cluster.the_leader()
    routers.behave(drain="hang")
    before = store.own()["token"]
    assert cluster.switchover().status == 200
    assert store.own()["token"] > before
    cluster.the_leader(other_than=leader.name)
    routers.behave()  # it comes back, and is told what has become of it meanwhile
    cluster.wait_for(lambda: not routers.holds(leader), "work goes on")


def test_by_the_policy_abort_the_switchover_is_given_up_and_work_goes_on(trouble: Trouble) -> None:
    cluster, store, routers = trouble
    leader = cluster.the_leader()
    cluster.configure(hacore={"drain_policy": "abort"})
    postmaster, before, begun = leader.pid("postmaster"), store.own(), boot_s()
    routers.behave(drain="raise")
    assert cluster.switchover().status == 503
    assert routers.told(leader, "drain", since=begun)
    cluster.wait_for(lambda: "hold" not in store.own() and not routers.holds(leader), "work goes on")
    assert store.records()["failover"] == "{}"
    assert (store.own()["token"], leader.pid("postmaster")) == (before["token"], postmaster)
    assert cluster.the_leader() is leader


@pytest.mark.parametrize("part", ["agent", "hacore"])
def test_the_fence_ends_the_writes_of_a_stopped_node_whatever_its_router_does(trouble: Trouble, part: str) -> None:
    cluster, _, routers = trouble
    leader = cluster.the_leader()
    misbehave(routers, "hang")
    cluster.wait_for(lambda: state_of(leader).get("state") == "degraded", "the router's trouble is shown")
    asked_at = time.monotonic()
    leader.stop(part)  # type: ignore[arg-type]  # both are parts of a node
    cluster.wait_for(lambda: not leader.server_pids(), "PostgreSQL is ended", deadline_s=3 * TTL_S)
    assert time.monotonic() - asked_at < 2 * TTL_S
    cluster.the_leader(other_than=leader.name)
    leader.kill("everything")
    routers.behave()
    leader.start()
