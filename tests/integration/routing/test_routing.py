"""A router that does what it is told, on whole clusters: who is told what, and in which order."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hacore.model.events import EventKind
from hacore.publish.journal import read_journal
from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.history import boot_s
from hacore.testing.workdir import work_directory
from tests.chaos.stores import SqliteAtWork
from tests.integration.routing.recorder import Recorders

pytestmark = [pytest.mark.xdist_group("routing"), pytest.mark.timeout(400)]

# Long enough for an agent that is killed to come back on a busy machine; whoever hears of something before a turn is due was woken.
TIMES = {"hacore": {"ttl": 15, "loop_wait": 5, "retry_timeout": 5}}
WOKEN_S = 2.5


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster whose nodes have a router."""

    cluster: Cluster
    store: SqliteAtWork
    routers: Recorders

    def is_led_to(self, node: ClusterNode, leader: ClusterNode) -> bool:
        routes = self.routers.told(node, "route")
        return bool(routes) and routes[-1]["leader"] == leader.name and routes[-1]["hold"] is None

    def leads(self, node: ClusterNode) -> bool:
        """Whether its router was told last that it leads, and for how long."""
        return bool(self.routers.told(node, "route")[-1]["leads"])

    def wait_led_to(self, leader: ClusterNode, *nodes: ClusterNode) -> None:
        for node in nodes or tuple(self.cluster.nodes.values()):
            self.cluster.wait_for(lambda node=node: self.is_led_to(node, leader), f"{node.name} leads traffic to {leader.name}")  # type: ignore[misc]

    def wait_nothing_is_held(self) -> None:
        nodes = self.cluster.nodes.values()
        self.cluster.wait_for(lambda: not any(self.routers.holds(node) for node in nodes), "no work waits")
        self.cluster.wait_for(lambda: "hold" not in self.store.own(), "the mark is gone")


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with work_directory(session=request.session) as directory:
        routers, store = Recorders(directory.path), SqliteAtWork(directory.path)
        cluster = Cluster(directory.path, store=store.section, dynamic=TIMES, local={"*": routers.settings}, start=False)
        for node in cluster.nodes.values():
            routers.install(node)
        with cluster:
            cluster.start()
            cluster.wait_ready()
            yield Site(cluster, store, routers)


@pytest.fixture(autouse=True)
def _in_order(site: Site) -> None:
    site.routers.behave()
    for node in site.cluster.nodes.values():
        if node.process is None or node.process.poll() is not None:
            node.start()
    site.cluster.wait_ready()
    site.wait_nothing_is_held()


def test_every_node_s_router_learns_who_leads_and_the_leader_s_until_when(site: Site) -> None:
    leader = site.cluster.the_leader()
    site.wait_led_to(leader)
    mine = site.routers.told(leader, "route")[-1]
    assert mine["leads"]
    assert mine["token"] == site.store.own()["token"]
    site.cluster.wait_for(lambda: len({one["valid_until"] for one in site.routers.told(leader, "route", since=mine.at)}) > 2, "renewals")
    for node in site.cluster.others(leader):
        assert not any(one["leads"] for one in site.routers.told(node, "route") if one["token"] == mine["token"])
    shown = leader.status()["hacore"]["routers"]["recorder"]
    assert shown == {"layer": "pooler", "state": "applied"}


def test_a_switchover_holds_work_back_before_the_stop_and_lets_it_go_at_the_next_primary(site: Site) -> None:
    cluster, routers = site.cluster, site.routers
    old = cluster.the_leader()
    candidate, other = cluster.others(old)
    site.wait_led_to(old)
    token, begun = site.store.own()["token"], boot_s()
    assert cluster.switchover(candidate=candidate.name).status == 200
    site.wait_led_to(candidate)
    (drain,) = routers.told(old, "drain", since=begun)
    assert (drain["token"], drain["candidate"]) == (token, candidate.name)
    (drained,) = routers.told(old, "drained", since=begun)
    assert not routers.told(candidate, "drain", since=begun)
    assert not routers.told(other, "drain", since=begun)
    held = routers.first(old, "route", lambda one: one["hold"] == drain["id"], since=begun)
    assert held is not None
    revoked = routers.first(old, "revoke", lambda one: one["token"] == token, since=begun)
    assert revoked is not None
    assert drained.at < revoked.at
    leads = routers.first(candidate, "route", lambda one: one["leads"], since=begun)
    assert leads is not None
    assert leads["token"] > token
    assert leads["hold"] is None
    assert revoked.at < leads.at
    let_go = [one for one in routers.told(old, "route", since=drain.at) if one["hold"] is None]
    assert {one["leader"] for one in let_go} == {candidate.name}, "work is let go only towards the next primary"
    heard = routers.first(other, "route", lambda one: one["leader"] == candidate.name and one["hold"] is None, since=begun)
    assert heard is not None
    assert heard.at - leads.at < WOKEN_S, "the first renewal as primary wakes the others"
    site.wait_nothing_is_held()
    cluster.wait_ready()
    handed_over = [event for event in read_journal(old.state_dir) if event.kind is EventKind.HANDED_OVER][-1]
    steps = [name for name, _ in handed_over.data if name.endswith("_ms")]
    assert steps[:3] == ["checkpoint_ms", "drained_ms", "stopped_ms"] or steps[:3] == ["checkpoint_ms", "drained_ms", "released_ms"]


def test_after_the_loss_of_the_leader_traffic_goes_to_the_next_under_a_larger_token(site: Site) -> None:
    cluster, routers = site.cluster, site.routers
    old = cluster.the_leader()
    token, begun = site.store.own()["token"], boot_s()
    old.kill("everything")
    new = cluster.the_leader(other_than=old.name)
    (other,) = [node for node in cluster.others(new) if node is not old]
    site.wait_led_to(new, new, other)
    leads = routers.first(new, "route", lambda one: one["leads"], since=begun)
    assert leads is not None
    assert leads["token"] > token
    assert not routers.told(new, "drain", since=begun)
    heard = routers.first(other, "route", lambda one: one["leader"] == new.name, since=begun)
    assert heard is not None
    assert heard.at - leads.at < WOKEN_S


def test_what_a_killed_agent_held_back_is_let_go_by_the_next(site: Site) -> None:
    cluster, routers = site.cluster, site.routers
    leader = cluster.the_leader()
    postmaster, agent, begun = leader.pid("postmaster"), leader.pid("agent"), boot_s()
    routers.behave(drain="hang")
    asking = threading.Thread(target=lambda: cluster.switchover(leader=leader.name), daemon=True)
    asking.start()
    cluster.wait_for(lambda: routers.holds(leader), "work waits")
    assert site.store.own()["hold"]["token"] == site.store.own()["token"]
    leader.kill("agent")
    site.store.blank_request()
    routers.behave()
    site.wait_nothing_is_held()
    assert [one.pid for one in routers.told(leader, "drain", since=begun)] == [agent]
    let_go = routers.first(leader, "route", lambda one: one.pid != agent and one["leads"] and one["hold"] is None, since=begun)
    assert let_go is not None, "\n".join(map(str, routers.told(leader, since=begun)))
    assert cluster.wait_ready() is leader
    assert leader.pid("postmaster") == postmaster
    asking.join(60.0)


def test_in_a_pause_clients_are_led_on_while_the_store_is_away_for_longer_than_a_lease_and_after_it(site: Site) -> None:
    cluster, routers, nodes = site.cluster, site.routers, tuple(site.cluster.nodes.values())
    leader = cluster.the_leader()
    site.wait_led_to(leader)
    postmaster = leader.pid("postmaster")
    assert cluster.configure(pause=True).status == 200
    cluster.wait_for(lambda: site.store.own().get("unfenced") == leader.name, "the pause is in force")
    cluster.wait_for(lambda: all(node.status().get("pause") for node in nodes), "all know of it")
    begun = boot_s()
    with site.store.outage():
        cluster.wait_for(lambda: site.leads(leader) is False, "the lease has ended")
        away_at = boot_s()
        cluster.wait_for(lambda: boot_s() > away_at + WOKEN_S + TIMES["hacore"]["loop_wait"], "every agent has looked again")
        assert all(site.is_led_to(node, leader) for node in nodes)
    cluster.wait_for(lambda: site.leads(leader) is True, "it has a lease again")
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader
    assert {one["leader"] for node in nodes for one in routers.told(node, "route", since=begun)} == {leader.name}
    assert not [one for node in nodes for one in routers.told(node, "revoke", since=begun)]
    assert leader.pid("postmaster") == postmaster


def test_a_reload_changes_which_routers_there_are(site: Site) -> None:
    cluster, routers = site.cluster, site.routers
    node = cluster.others(cluster.the_leader())[0]
    names = node.settings.pop("routers")
    node.write()
    node.reload()
    cluster.wait_for(lambda: "routers" not in node.status()["hacore"], "it has no router any more")
    begun = boot_s()
    node.settings["routers"] = names
    node.write()
    node.reload()
    cluster.wait_for(lambda: routers.told(node, "route", since=begun), "the router is told at once")
    assert routers.told(node, "route", since=begun)[0]["leader"] == cluster.the_leader().name
