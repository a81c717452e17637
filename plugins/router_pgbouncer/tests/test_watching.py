"""A primary that has died leads on in the store until its lease ends. Clients of PgBouncer wait meanwhile, and never for ever."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from hacore.hookspecs import PluginContext, Route
from hacore.http.resolver import Resolver
from hacore.interfaces import Applied, Endpoint, Hold, RoutingState
from hacore.model.clock import BootClock
from hacore.model.policy import Policy, Times
from hacore.testing.history import Session
from hacore.testing.pgbouncer import PgBouncer
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore_router_pgbouncer import pooler, watch
from hacore_router_pgbouncer.plugin import PgbouncerPlugin
from hacore_router_pgbouncer.server import takes_connections
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings

ANSWER_S = 20.0
STAYS_S = 2.0  # four looks
LONG, SHORT = Times(), Times(ttl_s=0.5, loop_wait_s=0.5)


@contextmanager
def plugin_of(bouncer: PgBouncer, *, waits: bool = True, has_file: bool = True) -> Iterator[PgbouncerPlugin]:
    found = PgbouncerPlugin(
        PgbouncerSettings(
            consoles=(bouncer.console,),
            databases=(Database(name="app", dbname="postgres"),),
            databases_file=bouncer.databases if has_file else None,
            waits_without_leader=waits,
        )
    )
    try:
        yield found
    finally:
        found.hacore_close()


@contextmanager
def killed(server: PlainServer) -> Iterator[None]:
    server.stop("immediate")
    try:
        yield
    finally:
        server.start()


def route(
    plugin: PgbouncerPlugin,
    servers: dict[str, PlainServer],
    leader: str,
    token: int,
    times: Times = LONG,
    *,
    is_paused: bool = False,
    is_held: bool = False,
) -> None:
    a, b = (Endpoint(member=name, host="127.0.0.1", port=servers[name].port) for name in "ab")
    state = RoutingState(token=token, revision=token, me=b, leader=a if leader == "a" else b, leads=leader == "b", members=(a, b))
    hold = Hold(switchover_id="s", ends_at=BootClock().now() + 60.0) if is_held else None
    state = replace(state, is_paused=is_paused, hold=hold)
    context = PluginContext(scope="kit", namespace="/service", member="b", clock=BootClock(), policy=replace(Policy(), times=times))
    assert isinstance(plugin.hacore_route(Route(context=context, state=state)), Applied)


def who_answers(bouncer: PgBouncer) -> str:
    with closing(Session(bouncer.conninfo("app"), deadline_s=ANSWER_S)) as client:
        return str(client.query("SELECT current_setting('cluster_name')", deadline_s=ANSWER_S)[0][0])


def is_paused(bouncer: PgBouncer) -> bool:
    return str({row[0]: row for row in bouncer.ask("SHOW DATABASES")}["app"][-2]) == "1"


def test_clients_wait_from_the_death_of_the_primary_until_the_next_one_leads(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1)
        assert who_answers(bouncer) == "a"
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait")
            answers: list[str] = []
            waiting = [threading.Thread(target=lambda: answers.append(who_answers(bouncer))) for _ in range(5)]
            for one in waiting:
                one.start()
            wait_for(lambda: len(bouncer.ask("SHOW CLIENTS")) > len(waiting), "they have come")
            route(plugin, servers, "a", 1)  # nobody knows better yet
            assert is_paused(bouncer)
            route(plugin, servers, "b", 2)
            for one in waiting:
                one.join(ANSWER_S)
            assert answers == ["b"] * len(waiting)


def test_in_maintenance_clients_that_wait_for_a_dead_primary_go_on_with_the_next_one(
    servers: dict[str, PlainServer], bouncer: PgBouncer
) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1, is_paused=True)
        assert who_answers(bouncer) == "a"
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait")
            route(plugin, servers, "b", 2, is_paused=True)
            assert who_answers(bouncer) == "b"


def test_clients_that_were_held_go_on_when_the_address_behind_has_followed(
    servers: dict[str, PlainServer], bouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def answers(*way: Any) -> bool:
        asked.append(watch.server_answers(*way))
        return asked[-1]

    monkeypatch.setattr(pooler, "server_answers", answers)
    monkeypatch.setattr(pooler, "_FOLLOWS_S", ANSWER_S)
    with plugin_of(bouncer) as before:
        route(before, servers, "b", 1)  # stands for an address that follows by itself
    with plugin_of(bouncer, waits=False, has_file=False) as plugin:
        route(plugin, servers, "a", 1, is_held=True)
        with killed(servers["b"]):
            letting_go = threading.Thread(target=route, args=(plugin, servers, "b", 2))
            letting_go.start()
            wait_for(lambda: asked, "it has looked for the server")
            assert is_paused(bouncer)
        letting_go.join(ANSWER_S)
        assert (asked[0], asked[-1]) == (False, True)
        assert who_answers(bouncer) == "b"


def test_nobody_is_held_for_long_where_no_server_answers_the_agent(
    servers: dict[str, PlainServer], bouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "server_answers", lambda *_: False)
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1, is_held=True)
        route(plugin, servers, "a", 1)
        assert not is_paused(bouncer)
        with closing(Session(bouncer.conninfo("app"), deadline_s=ANSWER_S)) as client:
            assert client.query("SELECT 1", deadline_s=ANSWER_S)


def test_a_watch_outlives_an_error_that_it_does_not_know(
    servers: dict[str, PlainServer], bouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[str] = []

    def unheard_of(*_: object) -> bool:
        met.append("error")
        raise RuntimeError("can't start new thread")

    with plugin_of(bouncer) as plugin:
        with monkeypatch.context() as changed:
            changed.setattr(watch, "server_answers", unheard_of)
            route(plugin, servers, "a", 1)
            wait_for(lambda: met, "the watch meets an error")
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait for the dead primary")
        wait_for(lambda: not is_paused(bouncer), "clients go on")


def test_clients_go_on_when_the_primary_is_back(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1)
        assert who_answers(bouncer) == "a"
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait")
        assert who_answers(bouncer) == "a"


def test_clients_wait_no_longer_than_the_lease_can_last(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1, SHORT)
        assert who_answers(bouncer) == "a"
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait")
            wait_for(lambda: not is_paused(bouncer), "they go on")
            until = time.monotonic() + STAYS_S
            while time.monotonic() < until:
                assert not is_paused(bouncer)


def test_an_agent_that_ends_leaves_nobody_waiting(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1)
        with killed(servers["a"]):
            wait_for(lambda: is_paused(bouncer), "clients wait")
            plugin.hacore_close()
            wait_for(lambda: not is_paused(bouncer), "they go on")


def test_a_primary_that_is_only_not_used_stops_nobody(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    with plugin_of(bouncer) as plugin:
        route(plugin, servers, "a", 1)
        assert who_answers(bouncer) == "a"
        bouncer.ask("RECONNECT app")
        wait_for(lambda: bouncer.ask("SHOW SERVERS") == [], "no session is left")
        assert who_answers(bouncer) == "a"
        assert not is_paused(bouncer)


def test_a_server_answers_that_refuses_the_user_and_none_that_starts(servers: dict[str, PlainServer], bouncer: PgBouncer) -> None:
    a, resolver = servers["a"], Resolver(BootClock())
    assert takes_connections("127.0.0.1", a.port, "postgres", resolver)
    assert takes_connections(str(a.directory), a.port, "no_such_database", resolver)
    assert takes_connections("127.0.0.9,127.0.0.1", a.port, "postgres", resolver)
    assert takes_connections("localhost", a.port, "postgres", resolver)
    assert takes_connections(None, 5432, "postgres", resolver)  # where it leads only PgBouncer knows
    assert not takes_connections("127.0.0.1", 1, "postgres", resolver)
    assert takes_connections("127.0.0.1", 1, "postgres", resolver, is_here=False)  # the loopback of another machine
    with killed(a):
        assert not takes_connections("127.0.0.1", a.port, "postgres", resolver)
        assert not takes_connections(str(a.directory), a.port, "postgres", resolver)
