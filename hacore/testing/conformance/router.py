# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for routers, against the real thing that they drive."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, Probe, Revoke, Route
from hacore.interfaces import Applied, Degraded, Held, Hold, Observed, RouterTraits, RoutingState
from hacore.plugins.declaration import TRAITS_HOOK
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from hacore.testing.conformance.plugin import CONTEXT, PluginConformance, PluginUnderTest, built
from hacore.testing.waiting import wait_for

ROUTE_S: Final = 10.0
PROMPT_S: Final = 1.0
DRAIN_S: Final = 5.0
SETTLE_S: Final = 10.0  # for the outside to show what it was told


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterCases:
    """The real thing, which leads to nobody yet, and states that it can show. Revisions are the kit's."""

    here: RoutingState  # this node leads
    elsewhere: RoutingState  # another member leads, under a larger token than ``here``
    target: Callable[[], str | None]  # member to which the outside leads writes now, seen as a client sees it; ``None``: to nobody
    is_held: Callable[[], bool]  # whether a new piece of work waits; always false where the router holds nothing back
    spoil: Callable[[], None]  # what the router drives does not answer any more
    mend: Callable[[], None]


class RouterKit:
    """Fixtures and words of the tests."""

    @pytest.fixture(autouse=True)
    def _in_order(self, cases: RouterCases) -> Iterator[None]:
        self.revision = 0
        yield
        cases.mend()

    def route(self, plugin: Plugin, state: RoutingState) -> object:
        self.revision += 1
        now = CONTEXT.clock.now()
        state = replace(state, revision=self.revision, valid_until=now + 60.0 if state.leads else None)
        return plugin.calls.call("hacore_route", Applied, Degraded, limit_s=ROUTE_S, request=Route(context=CONTEXT, state=state))

    def shows(self, cases: RouterCases, member: str | None) -> None:
        wait_for(lambda: cases.target() == member, f"writes go to {member}", deadline_s=SETTLE_S)

    def expected(self, state: RoutingState, plugin: Plugin) -> str | None:
        """Where writes go by this node's router."""
        return state.leader.member if state.leader is not None and (state.leads or not is_address(plugin)) else None


class RouterConformance(RouterKit, PluginConformance):
    """Everything that the core rests on with a router; the subclass brings ``subject`` and ``cases``, and adds the classes below.

    A router that leads only to its own node (a floating IP) shows ``None`` while another leads.
    """

    def test_it_is_tried_with_every_hook_that_it_has(self, plugin: Plugin) -> None:
        assert isinstance(self, DrainConformance) == traits_of(plugin).drains
        assert isinstance(self, RevocationConformance) == plugin.calls.has("hacore_revoke")
        assert isinstance(self, ProbeConformance) == plugin.calls.has("hacore_route_probe")

    def test_writes_go_to_the_leader_and_follow_the_next(self, plugin: Plugin, cases: RouterCases) -> None:
        for state in (cases.here, cases.elsewhere, replace(cases.here, token=cases.elsewhere.token + 1)):
            assert isinstance(self.route(plugin, state), Applied)
            self.shows(cases, self.expected(state, plugin))

    def test_the_same_state_again_changes_nothing(self, plugin: Plugin, cases: RouterCases) -> None:
        for _ in range(3):
            assert isinstance(self.route(plugin, cases.here), Applied)
            self.shows(cases, cases.here.me.member)

    def test_without_a_leader_writes_go_nowhere(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        self.shows(cases, cases.here.me.member)
        assert isinstance(self.route(plugin, replace(cases.here, leader=None, leads=False)), Applied)
        self.shows(cases, None)

    def test_an_older_token_does_not_undo_a_newer_one(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.elsewhere)
        self.shows(cases, self.expected(cases.elsewhere, plugin))
        self.route(plugin, cases.here)
        self.shows(cases, self.expected(cases.elsewhere, plugin))

    def test_a_new_agent_finds_what_the_one_before_left(self, plugin: Plugin, subject: PluginUnderTest, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        self.shows(cases, cases.here.me.member)
        with built(subject) as successor:
            assert isinstance(self.route(successor, cases.elsewhere), Applied)
            self.shows(cases, self.expected(cases.elsewhere, plugin))

    def test_an_outside_that_does_not_answer_is_said_and_mended_later(self, plugin: Plugin, cases: RouterCases) -> None:
        cases.spoil()
        began = time.monotonic()
        answer: object = None
        with suppress(PluginUnavailableError):
            answer = self.route(plugin, cases.here)
        assert not isinstance(answer, Applied)
        assert time.monotonic() - began < ROUTE_S
        cases.mend()
        wait_for(lambda: self._applies(plugin, cases.here), "the state is applied", deadline_s=SETTLE_S)
        self.shows(cases, cases.here.me.member)

    def _applies(self, plugin: Plugin, state: RoutingState) -> bool:
        try:
            return isinstance(self.route(plugin, state), Applied)
        except PluginUnavailableError:
            return False


class RevocationConformance(RouterKit):
    """What a router adds that takes writes away at once (``hacore_revoke``)."""

    def test_a_node_that_does_not_lead_any_more_gets_no_writes(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        self.shows(cases, cases.here.me.member)
        request = Revoke(context=CONTEXT, token=cases.here.token)
        plugin.calls.call("hacore_revoke", Applied, Degraded, limit_s=PROMPT_S, request=request)
        self.shows(cases, None)
        assert isinstance(self.route(plugin, cases.elsewhere), Applied)
        self.shows(cases, self.expected(cases.elsewhere, plugin))


class DrainConformance(RouterKit):
    """What a router adds that holds work back (``RouterTraits.drains``)."""

    def test_what_is_held_back_waits_until_the_hold_is_over(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        self.shows(cases, cases.here.me.member)
        hold = Hold(switchover_id="kit", ends_at=CONTEXT.clock.now() + 60.0)
        assert isinstance(self.drain(plugin, cases, ends_in_s=DRAIN_S), Held)
        self.route(plugin, replace(cases.here, hold=hold))
        assert cases.is_held()
        self.route(plugin, replace(cases.elsewhere, hold=None))
        wait_for(lambda: not cases.is_held(), "work goes on", deadline_s=SETTLE_S)
        self.shows(cases, self.expected(cases.elsewhere, plugin))

    def test_a_hold_whose_time_is_over_holds_nothing(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        assert isinstance(self.drain(plugin, cases, ends_in_s=DRAIN_S), Held)
        self.route(plugin, replace(cases.here, hold=Hold(switchover_id="kit", ends_at=CONTEXT.clock.now() - 1.0)))
        wait_for(lambda: not cases.is_held(), "work goes on", deadline_s=SETTLE_S)

    def test_a_new_agent_lets_go_what_the_one_before_held(self, plugin: Plugin, subject: PluginUnderTest, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        assert isinstance(self.drain(plugin, cases, ends_in_s=DRAIN_S), Held)
        with built(subject) as successor:
            assert isinstance(self.route(successor, cases.here), Applied)
            wait_for(lambda: not cases.is_held(), "work goes on", deadline_s=SETTLE_S)

    def drain(self, plugin: Plugin, cases: RouterCases, *, ends_in_s: float) -> object:
        job = JobHandle()
        state = replace(cases.here, revision=self.revision)
        request = Drain(
            context=CONTEXT,
            switchover_id="kit",
            token=cases.here.token,
            candidate=None,
            ends_at=CONTEXT.clock.now() + ends_in_s,
            state=state,
        )
        timer = threading.Timer(ends_in_s + SETTLE_S, job.cancel, ("it lasts too long",))
        timer.start()
        try:
            return plugin.calls.call_here("hacore_drain", Held, Degraded, request=request, job=job)
        finally:
            timer.cancel()


class ProbeConformance(RouterKit):
    """What a router adds that looks at what it drives (``hacore_route_probe``)."""

    def test_it_tells_what_the_outside_shows(self, plugin: Plugin, cases: RouterCases) -> None:
        self.route(plugin, cases.here)
        self.shows(cases, cases.here.me.member)
        seen = plugin.calls.call("hacore_route_probe", Observed, limit_s=PROMPT_S, request=Probe(context=CONTEXT))
        assert isinstance(seen, Observed)
        assert isinstance(seen.target, str)


def traits_of(plugin: Plugin) -> RouterTraits:
    """Return what the router says that it is."""
    found = getattr(plugin.found.plugin, TRAITS_HOOK)()  # hacore_router_traits
    assert isinstance(found, RouterTraits)
    return found


def is_address(plugin: Plugin) -> bool:
    """Tell whether the router leads to its own node only."""
    return str(traits_of(plugin).layer) == "address"
