"""Several PgBouncers that one agent drives: processes behind one port, or those behind one floating IP."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, PluginContext, Probe, Route, Validate
from hacore.interfaces import Applied, Degraded, Endpoint, Held, Observed, RoutingState
from hacore.model.clock import BootClock
from hacore.postgres.job import JobHandle
from hacore.testing.history import Session
from hacore.testing.pgbouncer import PgBouncer
from hacore.testing.ports import Ports
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore_router_pgbouncer.plugin import PgbouncerPlugin
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings

ANSWER_S = 20.0
NUMBERS = itertools.count(1)
CONTEXT = PluginContext(scope="kit", namespace="/service", member="a", clock=BootClock())


class Sibling(PgBouncer):
    """One of the processes behind a port, reached by its own socket."""

    @property
    def console(self) -> str:
        return self.conninfo("pgbouncer")

    def conninfo(self, database: str) -> str:
        return super().conninfo(database).replace("127.0.0.1", str(self.directory))


@pytest.fixture
def bouncers(servers: dict[str, PlainServer], scratch: Path) -> Iterator[list[Sibling]]:
    with Ports() as ports, ExitStack() as stack:
        port, found = ports.take(), list[Sibling]()
        for name in ("one", "two"):
            (scratch / name).mkdir()
            (scratch / name).chmod(0o777)
            found.append(Sibling(scratch / name, port, users=(servers["a"].owner,), settings={"so_reuseport": "1"}))
            found[-1].databases = found[0].databases
            found[-1].prepare()
            stack.callback(found[-1].kill)
            found[-1].start()
        yield found


@pytest.fixture
def plugin(bouncers: list[Sibling]) -> Iterator[PgbouncerPlugin]:
    made = PgbouncerPlugin(
        PgbouncerSettings(
            consoles=tuple(one.console for one in bouncers),
            databases=(Database(name="app", dbname="postgres"),),
            databases_file=bouncers[0].databases,
            timeout_s=1.0,
        )
    )
    yield made
    made.hacore_close()


def state(servers: dict[str, PlainServer], leader: str, token: int) -> RoutingState:
    a, b = (Endpoint(member=name, host="127.0.0.1", port=servers[name].port) for name in "ab")
    led = {"a": a, "b": b}[leader]
    return RoutingState(token=token, revision=next(NUMBERS), me=a, leader=led, leads=led is a, members=(a, b))


def route(plugin: PgbouncerPlugin, wanted: RoutingState) -> object:
    return plugin.hacore_route(Route(context=CONTEXT, state=wanted))


def drain(plugin: PgbouncerPlugin, wanted: RoutingState) -> object:
    ends_at = BootClock().now() + ANSWER_S
    return plugin.hacore_drain(
        Drain(context=CONTEXT, switchover_id="s", token=wanted.token, candidate="b", ends_at=ends_at, state=wanted), JobHandle()
    )


def who_answers(client: Session) -> str:
    return str(client.query("SELECT current_setting('cluster_name')", deadline_s=ANSWER_S)[0][0])


def is_paused(bouncer: Sibling) -> bool:
    return str({row[0]: row for row in bouncer.ask("SHOW DATABASES")}["app"][-2]) == "1"


def test_clients_of_each_of_them_wait_and_go_on_with_the_next_primary_in_the_same_session(
    servers: dict[str, PlainServer], bouncers: list[Sibling], plugin: PgbouncerPlugin
) -> None:
    assert route(plugin, state(servers, "a", 1)) == Applied()
    assert plugin.hacore_validate(Validate(context=CONTEXT, online=True)) == []
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Session(one.conninfo("app"), deadline_s=ANSWER_S))) for one in bouncers]
        assert [who_answers(one) for one in clients] == ["a", "a"]
        assert drain(plugin, state(servers, "a", 1)) == Held()
        assert [is_paused(one) for one in bouncers] == [True, True]
        assert plugin.hacore_status()["paused"]
        assert route(plugin, state(servers, "b", 2)) == Applied()
        assert [who_answers(one) for one in clients] == ["b", "b"]
        (active,) = (one.value for one in plugin.hacore_metrics() if one.name.endswith("clients_active"))
        assert active == len(clients)  # of the database and the user, whichever process they came to
    place = f"127.0.0.1:{servers['b'].port}"
    assert plugin.hacore_route_probe(Probe(context=CONTEXT)) == Observed(target=place)
    assert plugin.hacore_status()["leads to"] == place


def test_none_takes_new_work_while_another_is_waited_for(
    servers: dict[str, PlainServer], bouncers: list[Sibling], plugin: PgbouncerPlugin
) -> None:
    assert route(plugin, state(servers, "a", 1)) == Applied()
    busy, idle = bouncers
    with closing(Session(busy.conninfo("app"), deadline_s=ANSWER_S)) as client, ThreadPoolExecutor(1) as pool:
        client.query("BEGIN", deadline_s=ANSWER_S)
        client.query("SELECT 1", deadline_s=ANSWER_S)
        draining = pool.submit(drain, plugin, state(servers, "a", 1))
        wait_for(lambda: is_paused(idle), "the other takes no new work")
        assert not draining.done()
        client.query("COMMIT", deadline_s=ANSWER_S)
        assert draining.result(ANSWER_S) == Held()


def test_one_that_does_not_answer_keeps_no_other_from_being_led_and_is_told_when_it_does(
    servers: dict[str, PlainServer], bouncers: list[Sibling], plugin: PgbouncerPlugin
) -> None:
    assert route(plugin, state(servers, "a", 1)) == Applied()
    silent, sound = bouncers
    silent.freeze()
    answer = route(plugin, state(servers, "b", 2))
    assert isinstance(answer, Degraded)
    assert str(silent.directory) in answer.reason
    assert str(sound.directory) not in answer.reason
    with closing(Session(sound.conninfo("app"), deadline_s=ANSWER_S)) as client:
        assert who_answers(client) == "b"
    silent.thaw()
    assert route(plugin, state(servers, "b", 2)) == Applied()
    with closing(Session(silent.conninfo("app"), deadline_s=ANSWER_S)) as client:
        assert who_answers(client) == "b"


def test_where_none_answers_that_is_said_as_of_one(
    servers: dict[str, PlainServer], bouncers: list[Sibling], plugin: PgbouncerPlugin
) -> None:
    for one in bouncers:
        one.kill()
    with pytest.raises(PluginUnavailableError, match=r"one:.*; .*two:"):
        route(plugin, state(servers, "a", 1))
