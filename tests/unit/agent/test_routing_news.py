"""What routers are told of turns, renewals and the end of a lease."""

from dataclasses import replace
from typing import cast

from hacore.agent.routing import RoutingNews
from hacore.hookspecs import PluginContext, Revoke, Route
from hacore.model.clock import BootClock
from hacore.model.node import FenceState
from hacore.model.world import Decision, World
from hacore.plugins.routers import Routers
from tests.unit.decide import worlds as w

DECISION = Decision(table="t", rule="r", reason="")
CONTEXT = PluginContext(scope="demo", namespace="/service", member="a", clock=BootClock())


class Told:
    """Takes the place of the routers."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.revoked: list[int] = []

    def tell(self, route: Route) -> None:
        self.routes.append(route)

    def revoke(self, request: Revoke, without: Route | None) -> None:
        self.revoked.append(request.token)
        if without is not None:
            self.routes.append(without)


def news() -> tuple[RoutingNews, Told]:
    told = Told()
    return RoutingNews(cast("Routers", told), CONTEXT.clock, CONTEXT), told


def turn(one: RoutingNews, *worlds: World) -> None:
    for world in worlds:
        one.published(world, DECISION)


def test_a_turn_that_changes_nothing_is_not_told_again() -> None:
    one, told = news()
    turn(one, w.world(), w.world())
    assert len(told.routes) == 1
    assert told.routes[0].context.policy == w.world().policy


def test_a_renewal_is_told_before_its_turn_ends() -> None:
    one, told = news()
    turn(one, w.leading())
    one.lease_renewed(5000.0)
    assert [route.state.valid_until for route in told.routes] == [w.lease().fence_at, 5000.0]
    assert told.routes[1].state.revision > told.routes[0].state.revision


def test_a_standby_has_no_renewals() -> None:
    one, told = news()
    one.lease_renewed(5000.0)
    turn(one, w.world())
    one.lease_renewed(5000.0)
    assert len(told.routes) == 1


def test_the_end_of_a_lease_is_told_once_with_its_token() -> None:
    one, told = news()
    turn(one, w.leading())
    one.lease_ends()
    one.lease_ends()
    turn(one, w.world(cluster=w.cluster(None)))
    assert told.revoked == [1]
    assert [route.state.leads for route in told.routes] == [True, False, False]


def test_a_lease_that_was_gone_without_a_word_is_taken_back_at_the_end_of_the_turn() -> None:
    one, told = news()
    turn(one, w.leading(), w.world())
    assert told.revoked == [1]
    assert told.routes[-1].state.leader is not None
    assert told.routes[-1].state.leader.member == "b"


def test_a_lease_that_was_held_before_the_server_was_primary_is_taken_back_too() -> None:
    one, told = news()
    turn(one, w.leading(node=w.standby()))
    one.lease_ends()
    assert told.revoked == [1]


def test_a_node_without_a_lease_takes_nothing_back() -> None:
    one, told = news()
    one.lease_ends()
    turn(one, w.world())
    one.lease_ends()
    assert told.revoked == []


def test_a_larger_token_is_told() -> None:
    one, told = news()
    turn(one, w.leading(), replace(w.leading(), lease=w.lease(token=9)))
    assert [route.state.token for route in told.routes] == [1, 9]


def test_a_lease_that_ran_out_in_maintenance_takes_nothing_back_and_one_that_is_lost_does() -> None:
    unfenced = w.primary(fence=FenceState(armed=False))
    ran_out = w.lease(sent_at=CONTEXT.clock.now() - 100)
    one, told = news()
    turn(one, w.paused(w.leading(node=unfenced, lease=ran_out)))
    one.lease_ends()
    turn(one, w.paused(w.world(cluster=None, node=unfenced)))
    assert told.revoked == []
    assert [route.state.leads for route in told.routes][:2] == [True, False]
    assert {route.state.leader.member for route in told.routes if route.state.leader is not None} == {"a"}
    lost, told = news()
    turn(lost, w.paused(w.leading(node=unfenced, lease=w.lease(sent_at=CONTEXT.clock.now()))))
    lost.lease_ends()
    assert told.revoked == [1]
