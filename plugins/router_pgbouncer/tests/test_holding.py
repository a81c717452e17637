"""Clients that wait, those that work, and everything that may happen between a PAUSE and its RESUME."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, PluginContext, Probe, Route, Validate
from hacore.interfaces import Applied, Degraded, Endpoint, Held, Hold, Observed, RoutingState
from hacore.model.clock import BootClock, Clock
from hacore.postgres.job import JobHandle
from hacore.testing.history import Session
from hacore.testing.pgbouncer import PgBouncer, pgbouncer
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore_router_pgbouncer.plugin import PgbouncerPlugin
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings

ANSWER_S = 20.0
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class LaterClock:
    """A clock that is ahead."""

    ahead_s: float

    def now(self) -> float:
        return BootClock().now() + self.ahead_s

    def wall(self) -> object:
        return BootClock().wall()


@pytest.fixture
def bouncers(servers: dict[str, PlainServer], scratch: Path) -> Iterator[list[PgBouncer]]:
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            directory = scratch / name
            directory.mkdir()
            directory.chmod(0o777)
            found.append(stack.enter_context(pgbouncer(directory, users=(servers["a"].owner,))))
        yield found


def settings(bouncer: PgBouncer, *others: PgBouncer, options: str = "", waits: bool = True) -> PgbouncerSettings:
    return PgbouncerSettings(
        consoles=(bouncer.console,),
        databases=(Database(name="app", dbname="postgres", options=options),),
        databases_file=bouncer.databases,
        drain_consoles=tuple(one.console for one in others),
        waits_without_leader=waits,
    )


def state(servers: dict[str, PlainServer], leader: str, token: int, *, leads: bool = True) -> RoutingState:
    a, b = (Endpoint(member=name, host="127.0.0.1", port=servers[name].port) for name in "ab")
    return RoutingState(token=token, revision=next(NUMBERS), me=a, leader=a if leader == "a" else b, leads=leads, members=(a, b))


def context(clock: Clock | None = None) -> PluginContext:
    return PluginContext(scope="kit", namespace="/service", member="a", clock=clock or BootClock())


def route(plugin: PgbouncerPlugin, wanted: RoutingState, clock: Clock | None = None) -> object:
    return plugin.hacore_route(Route(context=context(clock), state=wanted))


def drain(plugin: PgbouncerPlugin, wanted: RoutingState, limit_s: float) -> object:
    ends_at = BootClock().now() + limit_s
    request = Drain(context=context(), switchover_id="s", token=wanted.token, candidate="b", ends_at=ends_at, state=wanted)
    return plugin.hacore_drain(request, JobHandle())


def cluster_name(session: Session, deadline_s: float = ANSWER_S) -> str:
    return str(session.query("SELECT current_setting('cluster_name')", deadline_s=deadline_s)[0][0])


def backend(session: Session) -> int:
    """The pid of the server's process that works for the session now."""
    return int(session.query("SELECT pg_backend_pid()", deadline_s=ANSWER_S)[0][0])


def test_a_client_that_waits_goes_on_with_the_next_primary_in_the_same_session(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    assert isinstance(route(plugin, state(servers, "a", 1)), Applied)
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "a"
        assert isinstance(drain(plugin, state(servers, "a", 1), 10.0), Held)
        answers: list[str] = []
        waiting = threading.Thread(target=lambda: answers.append(cluster_name(client)))
        waiting.start()
        wait_for(lambda: waits(bouncers[0]) == 1, "the client waits")
        assert isinstance(route(plugin, state(servers, "b", 2, leads=False)), Applied)
        waiting.join(ANSWER_S)
        assert answers == ["b"]


@pytest.mark.parametrize("has_file", [True, False])
def test_an_agent_that_is_late_breaks_no_session_with_the_next_primary(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer], *, has_file: bool
) -> None:
    known = settings(bouncers[0])
    one, late = PgbouncerPlugin(known), PgbouncerPlugin(known if has_file else replace(known, databases_file=None))
    for plugin in (one, late):
        route(plugin, state(servers, "a", 1))
    held = replace(state(servers, "a", 1), hold=Hold(switchover_id="s", ends_at=BootClock().now() + 30.0))
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "a"
        assert isinstance(drain(one, state(servers, "a", 1), 10.0), Held)
        for plugin in (one, late):
            route(plugin, held)
        route(one, state(servers, "b", 2, leads=False))
        assert cluster_name(client) == "b"
        before = backend(client)
        assert isinstance(route(late, state(servers, "b", 2, leads=False)), Applied)
        assert backend(client) == before


def test_a_session_that_is_idle_at_the_old_primary_is_ended_without_a_switchover(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1))
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "a"
        route(plugin, state(servers, "b", 2, leads=False))
        assert cluster_name(client) == "b"


def test_without_a_file_sessions_end_when_another_leads_behind_the_same_address(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    route(PgbouncerPlugin(settings(bouncers[0])), state(servers, "a", 1))
    plugin = PgbouncerPlugin(replace(settings(bouncers[0]), databases_file=None))
    route(plugin, state(servers, "a", 1))
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        before = backend(client)
        route(plugin, state(servers, "b", 2))
        wait_for(lambda: backend(client) != before, "another session with the server")


def test_a_transaction_that_does_not_end_is_said_and_new_work_waits(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1))
    with closing(Session(bouncers[0].conninfo("app"))) as working:
        working.query("BEGIN", deadline_s=ANSWER_S)
        working.query("SELECT 1", deadline_s=ANSWER_S)
        answer = drain(plugin, state(servers, "a", 1), 0.5)
        assert isinstance(answer, Degraded)
        assert "still under way" in answer.reason
        assert is_paused(bouncers[0])
        hold = Hold(switchover_id="s", ends_at=BootClock().now() + 30.0)
        route(plugin, replace(state(servers, "a", 1), hold=hold))
        assert is_paused(bouncers[0])
        working.query("COMMIT", deadline_s=ANSWER_S)
        route(plugin, state(servers, "a", 1))
        assert cluster_name(working) == "a"


def test_every_bouncer_is_paused_and_one_whose_agent_has_gone_is_let_go_by_the_leader(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    here, there = bouncers
    other = PgbouncerPlugin(settings(there, here))
    route(other, state(servers, "a", 1, leads=False))
    plugin = PgbouncerPlugin(settings(here, there))
    route(plugin, state(servers, "a", 1))
    assert isinstance(drain(plugin, state(servers, "a", 1), 10.0), Held)
    assert [is_paused(one) for one in bouncers] == [True, True]
    route(plugin, state(servers, "a", 1))
    assert [is_paused(one) for one in bouncers] == [False, True]  # its own agent may just be about to
    route(plugin, state(servers, "a", 1), LaterClock(21.0))  # type: ignore[arg-type]
    assert [is_paused(one) for one in bouncers] == [False, False]


def test_nothing_is_let_go_while_the_hold_stands_however_long_the_drain_takes(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    here, there = bouncers
    by_another_name = here.console.replace("127.0.0.1", str(here.directory))
    plugin = PgbouncerPlugin(replace(settings(here), drain_consoles=(by_another_name, there.console)))
    route(PgbouncerPlugin(settings(there)), state(servers, "a", 1))
    held = replace(state(servers, "a", 1), hold=Hold(switchover_id="s", ends_at=BootClock().now() + 600.0))
    assert isinstance(drain(plugin, held, 10.0), Held)
    for later_s in (0.0, 25.0, 50.0):
        assert route(plugin, held, LaterClock(later_s)) == Applied()  # type: ignore[arg-type]
        assert [is_paused(one) for one in bouncers] == [True, True]
    let_go = state(servers, "a", 1)
    route(plugin, let_go, LaterClock(51.0))  # type: ignore[arg-type]
    assert [is_paused(one) for one in bouncers] == [False, True]  # its own agent may just be about to
    route(plugin, let_go, LaterClock(72.0))  # type: ignore[arg-type]
    assert [is_paused(one) for one in bouncers] == [False, False]


def test_an_agent_that_has_not_read_why_lets_nothing_go_until_it_must_have(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    here, there = bouncers
    unaware, plugin = PgbouncerPlugin(settings(there)), PgbouncerPlugin(settings(here, there))
    for token, later_s in ((1, 12.0), (2, 0.0)):
        route(unaware, state(servers, "a", token, leads=False))
        route(plugin, state(servers, "a", token))
        assert isinstance(drain(plugin, state(servers, "a", token), 10.0), Held)
        assert isinstance(route(unaware, state(servers, "a", token, leads=False)), Degraded)
        assert is_paused(there)
        next_state = state(servers, "b" if not later_s else "a", token if later_s else token + 1, leads=False)
        assert isinstance(route(unaware, next_state, LaterClock(later_s)), Applied)  # type: ignore[arg-type]
        assert not is_paused(there)


def test_what_this_agent_holds_it_lets_go_at_once(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1, leads=False))
    for held in (
        replace(state(servers, "a", 1, leads=False), leader=None),
        replace(state(servers, "a", 1, leads=False), hold=Hold(switchover_id="s", ends_at=BootClock().now() + 30.0)),
    ):
        route(plugin, replace(held, revision=next(NUMBERS)))
        assert is_paused(bouncers[0])
        assert isinstance(route(plugin, state(servers, "a", 1, leads=False)), Applied)
        assert not is_paused(bouncers[0])


def test_readers_follow_the_standbys_while_nobody_leads(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    reads = (Database(name="reads", dbname="postgres"),)
    plugin = PgbouncerPlugin(replace(settings(bouncers[0]), standby_databases=reads))
    led = state(servers, "a", 1)
    a, b = led.members
    route(plugin, replace(led, standbys=(b,)))
    text = bouncers[0].databases.read_text()
    for standbys, port in (((b,), b.port), ((a,), a.port), ((), a.port)):
        route(plugin, replace(led, leader=None, leads=False, standbys=standbys, revision=next(NUMBERS)))
        ports = {row[0]: int(row[2]) for row in bouncers[0].ask("SHOW DATABASES")}
        assert (ports["app"], ports["reads"]) == (a.port, port)
    route(plugin, replace(state(servers, "a", 1), standbys=(b,)))
    assert bouncers[0].databases.read_text() == text


def test_a_bouncer_of_another_node_that_does_not_answer_does_not_keep_the_others_from_being_paused(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    here, there = bouncers
    plugin = PgbouncerPlugin(settings(here, there))
    route(plugin, state(servers, "a", 1))
    there.kill()
    answer = drain(plugin, state(servers, "a", 1), 5.0)
    assert isinstance(answer, Degraded)
    assert str(there.port) in answer.reason
    assert is_paused(here)
    assert isinstance(route(plugin, state(servers, "a", 1)), Applied)


def test_a_file_that_pgbouncer_refuses_is_said(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    answer = route(PgbouncerPlugin(settings(bouncers[0], options="no_such_word=1")), state(servers, "a", 1))
    assert isinstance(answer, Degraded)
    assert "its log says more" in answer.reason


def test_a_file_that_is_no_text_is_written_anew(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1))
    bouncers[0].databases.write_bytes(b"\xff\xfe damaged")
    assert isinstance(route(plugin, state(servers, "b", 2, leads=False)), Applied)
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "b"


def test_a_bouncer_that_stood_still_at_the_change_is_led_on_when_it_answers_again(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    plugin = PgbouncerPlugin(replace(settings(bouncers[0]), timeout_s=0.5))
    route(plugin, state(servers, "a", 1))
    bouncers[0].freeze()
    with pytest.raises(PluginUnavailableError):
        route(plugin, state(servers, "b", 2, leads=False))
    bouncers[0].thaw()
    wait_for(lambda: route(plugin, state(servers, "b", 2, leads=False)) == Applied(), "it is led on")
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "b"


def test_what_cannot_be_led_on_is_not_made_to_wait_and_never_waits_for_ever(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    plugin, directory = PgbouncerPlugin(settings(bouncers[0])), bouncers[0].databases.parent
    route(plugin, state(servers, "a", 1))
    elsewhere = PgbouncerPlugin(replace(settings(bouncers[0]), databases_file=directory / "gone" / "hacore.ini"))
    answer = drain(elsewhere, state(servers, "a", 1), 5.0)
    assert isinstance(answer, Degraded)
    assert "not writable" in answer.reason
    assert not is_paused(bouncers[0])
    bouncers[0].ask("PAUSE app")
    assert isinstance(route(elsewhere, state(servers, "b", 2)), Degraded)
    assert is_paused(bouncers[0])
    assert isinstance(route(elsewhere, state(servers, "b", 2), LaterClock(21.0)), Degraded)  # type: ignore[arg-type]
    assert not is_paused(bouncers[0])


def test_the_file_of_a_cluster_that_is_no_more_keeps_nobody_from_the_new_one(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    assert isinstance(route(PgbouncerPlugin(settings(bouncers[0])), state(servers, "a", 57)), Applied)
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    answer = route(plugin, state(servers, "b", 1, leads=False))
    assert isinstance(answer, Degraded)
    assert "token 57" in answer.reason
    ended = replace(state(servers, "b", 1), valid_until=BootClock().now() - 1.0)
    assert isinstance(route(plugin, ended), Degraded)
    leads = replace(state(servers, "b", 1), valid_until=BootClock().now() + 30.0)
    assert isinstance(route(plugin, leads), Applied)
    with closing(Session(bouncers[0].conninfo("app"))) as client:
        assert cluster_name(client) == "b"


def test_without_a_leader_new_work_fails_where_the_settings_want_that(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0], waits=False))
    route(plugin, replace(state(servers, "a", 1), leader=None, leads=False))
    assert not is_paused(bouncers[0])
    assert "port=1 " in bouncers[0].databases.read_text()


def test_what_pgbouncer_itself_says_is_validated(servers: dict[str, PlainServer], bouncers: list[PgBouncer], scratch: Path) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1))
    assert plugin.hacore_validate(Validate(context=context(), online=True)) == []
    elsewhere = PgbouncerPlugin(replace(settings(bouncers[0]), databases_file=scratch / "no" / "hacore.ini"))
    assert "not writable" in elsewhere.hacore_validate(Validate(context=context()))[0]
    (scratch / "slow").mkdir()
    (scratch / "slow").chmod(0o777)
    with pgbouncer(scratch / "slow", users=(servers["a"].owner,), settings={"server_login_retry": "15"}) as slow:
        (wrong,) = PgbouncerPlugin(settings(slow)).hacore_validate(Validate(context=context(), online=True))
    assert "server_login_retry is 15" in wrong


def test_a_person_s_pause_is_left_alone_in_maintenance_and_only_there(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    here, there = bouncers
    route(PgbouncerPlugin(settings(there)), in_maintenance(servers))
    plugin = PgbouncerPlugin(settings(here, there))
    route(plugin, in_maintenance(servers))
    for one in bouncers:
        one.ask("PAUSE app")
    for later_s in (0.0, 21.0, 42.0):
        assert route(plugin, in_maintenance(servers), LaterClock(later_s)) == Applied()  # type: ignore[arg-type]
        assert is_paused(here)
        assert is_paused(there)
    route(plugin, state(servers, "a", 1), LaterClock(63.0))  # type: ignore[arg-type]
    assert not is_paused(here)
    assert not is_paused(there)


def test_what_we_have_paused_in_maintenance_goes_on(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    here, there = bouncers
    route(PgbouncerPlugin(settings(there)), in_maintenance(servers))
    plugin = PgbouncerPlugin(settings(here, there))
    route(plugin, in_maintenance(servers))
    route(plugin, replace(in_maintenance(servers), hold=Hold(switchover_id="s", ends_at=BootClock().now() + 30.0)))
    assert is_paused(here)
    route(plugin, in_maintenance(servers))
    assert not is_paused(here)
    assert isinstance(drain(plugin, in_maintenance(servers), 5.0), Held)
    assert is_paused(there)
    route(plugin, in_maintenance(servers))
    route(plugin, in_maintenance(servers), LaterClock(21.0))  # type: ignore[arg-type]
    assert not is_paused(here)
    assert not is_paused(there)


def test_what_a_process_before_this_one_may_have_left_goes_on_in_maintenance_too(
    servers: dict[str, PlainServer], bouncers: list[PgBouncer]
) -> None:
    here, there = bouncers
    route(PgbouncerPlugin(settings(there)), in_maintenance(servers))
    before = PgbouncerPlugin(settings(here, there))
    route(before, in_maintenance(servers))
    assert isinstance(drain(before, in_maintenance(servers), 5.0), Held)
    plugin = PgbouncerPlugin(settings(here, there))
    route(plugin, in_maintenance(servers))
    assert not is_paused(here)
    route(plugin, in_maintenance(servers), LaterClock(21.0))  # type: ignore[arg-type]
    assert not is_paused(there)


def test_the_probe_tells_where_writes_go_and_nothing_where_it_cannot(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin, led = PgbouncerPlugin(settings(bouncers[0])), state(servers, "a", 1)
    route(plugin, led)
    place = f"127.0.0.1:{servers['a'].port}"
    assert probe(plugin) == Observed(target=place)
    assert probe(PgbouncerPlugin(replace(settings(bouncers[0]), databases_file=None))) is None  # an address that follows by itself
    assert plugin.hacore_status()["leads to"] == place
    route(plugin, replace(led, leader=None, leads=False, revision=next(NUMBERS)))
    assert probe(plugin) == Observed(target=None, detail=f"{place}, paused")  # nobody leads, and nobody is led there


def probe(plugin: PgbouncerPlugin) -> Observed | None:
    return plugin.hacore_route_probe(Probe(context=context()))


def test_clients_that_a_person_turns_away_are_not_let_in(servers: dict[str, PlainServer], bouncers: list[PgBouncer]) -> None:
    plugin = PgbouncerPlugin(settings(bouncers[0]))
    route(plugin, state(servers, "a", 1))
    bouncers[0].ask("DISABLE app")
    route(plugin, state(servers, "b", 2))
    with pytest.raises(psycopg2.OperationalError):
        Session(bouncers[0].conninfo("app"))


def in_maintenance(servers: dict[str, PlainServer]) -> RoutingState:
    """Nobody fails over, a leads."""
    return replace(state(servers, "a", 1), is_paused=True)


def waits(bouncer: PgBouncer) -> int:
    """How many clients wait for a server."""
    rows = bouncer.ask("SHOW POOLS")
    return sum(int(row[3]) for row in rows if row[0] == "app")


def is_paused(bouncer: PgBouncer) -> bool:
    """Whether the database is paused, as its console shows it."""
    connection_rows = {row[0]: row for row in bouncer.ask("SHOW DATABASES")}
    return str(connection_rows["app"][-2]) == "1"
