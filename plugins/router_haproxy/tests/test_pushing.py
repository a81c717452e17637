"""What reaches a real HAProxy by its runtime API, from one agent and from several."""

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Applied, Degraded, Held, Hold
from hacore.model.policy import Policy, Times
from hacore.testing.ports import Ports
from hacore.testing.waiting import wait_for
from hacore_router_haproxy import rendering
from plugins.router_haproxy.tests.driven import Agent
from plugins.router_haproxy.tests.impostor import TALKS, impostor
from plugins.router_haproxy.tests.served import Haproxy, Visitor, Who, leading, own_config, reached, waits

SECTION = {"primary_backend": "pg_rw", "standby_backend": "pg_ro", "hold": "on"}
CLOSED = ("0", "5")  # stopped; forced and configured maintenance
LIVES_S = 0.2  # a connection that was cut is heard within this time


def section(haproxy: Haproxy, **more: Any) -> dict[str, Any]:
    return {"stats_socket": str(haproxy.socket)} | SECTION | more


@pytest.fixture
def proxy(haproxy: Haproxy, servers: dict[str, Who]) -> Haproxy:
    """HAProxy with a configuration of its own."""
    script = haproxy.directory / "hold.lua"
    script.write_text(rendering.packaged(rendering.HOLD_SCRIPT))
    haproxy.config.write_text(own_config(haproxy, script, servers))
    haproxy.start()
    return haproxy


@pytest.fixture
def agent(proxy: Haproxy) -> Agent:
    return Agent(section(proxy))


@pytest.fixture
def other(proxy: Haproxy) -> Agent:
    return Agent(section(proxy), member="b")


def test_sessions_to_an_old_primary_are_cut_and_those_of_readers_are_not(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent.route(leading(servers, "a", token=5))
    with Visitor(proxy.primary_port) as writer, Visitor(proxy.standby_port) as reader:
        assert (writer.hears(), reader.hears()) == ("a", "b")
        assert isinstance(agent.route(leading(servers, "b", token=6)), Applied)
        assert writer.hears() == ""
        assert reader.hears(LIVES_S) is None
        assert reached(proxy.standby_port) == "a"


def test_a_node_that_is_not_primary_is_never_ready(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    assert set(proxy.servers("pg_rw").values()) == {CLOSED}
    for token, leader in enumerate(("a", None, "b", "a", None), start=5):
        agent.route(leading(servers, leader, token=token))
        shown = proxy.servers("pg_rw")
        assert {name for name, state in shown.items() if state != CLOSED} == ({leader} if leader else set())


def test_a_proxy_that_was_started_anew_leads_nowhere_until_it_is_told(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent.route(leading(servers, "a"))
    assert reached(proxy.primary_port) == "a"
    proxy.stop()
    proxy.start()
    assert reached(proxy.primary_port) is None
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    assert reached(proxy.primary_port) == "a"


def test_a_proxy_that_was_started_anew_is_told_when_it_is_next_looked_at(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    now = agent.context.clock.now()
    for valid_until, target in ((None, "a"), (now + 60, "a"), (now - 1, None)):  # what ended with the lease is not put up again
        agent.route(replace(leading(servers, "a"), valid_until=valid_until))
        proxy.stop()
        proxy.start()
        assert agent.probe().target == target
        assert reached(proxy.primary_port) == target
    agent.route(leading(servers, "a"))
    agent.revoke(5)
    proxy.stop()
    proxy.start()
    assert agent.probe().target is None


def test_a_leader_whose_lease_ran_out_in_maintenance_keeps_its_sessions_also_when_it_has_a_lease_again(
    proxy: Haproxy, agent: Agent, servers: dict[str, Who]
) -> None:
    agent.route(leading(servers, "a", token=5))
    with Visitor(proxy.primary_port) as writer:
        assert writer.hears() == "a"
        for state in (replace(leading(servers, "a", token=5), leads=False, is_paused=True), leading(servers, "a", token=6)):
            assert isinstance(agent.route(state), Applied)
            assert reached(proxy.primary_port) == "a"
            assert writer.hears(LIVES_S) is None


def test_the_newest_token_wins_whoever_comes_last(proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]) -> None:
    other.route(leading(servers, "b", me="b", token=6))
    late = agent.route(leading(servers, "a", token=5))
    assert isinstance(late, Degraded)
    assert "token 6 and not 5" in late.reason
    assert reached(proxy.primary_port) == "b"
    restarted = Agent(section(proxy))  # remembers nothing: the proxy does
    assert isinstance(restarted.route(leading(servers, "a", token=5)), Degraded)
    restarted.revoke(5)
    assert reached(proxy.primary_port) == "b"


def test_after_a_restart_of_the_proxy_the_newest_token_wins_as_soon_as_it_is_told(
    proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]
) -> None:
    other.route(leading(servers, "b", me="b", token=6))
    proxy.stop()
    proxy.start()
    agent.route(leading(servers, "a", token=5))
    assert isinstance(other.route(leading(servers, "b", me="b", token=6)), Applied)
    assert isinstance(agent.route(leading(servers, "a", token=5)), Degraded)
    assert reached(proxy.primary_port) == "b"


def test_a_node_that_does_not_know_yet_who_leads_takes_nothing_back(
    proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]
) -> None:
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as writer:
        assert writer.hears() == "a"
        other.route(leading(servers, None, me="b"))
        assert writer.hears(LIVES_S) is None
    other.route(leading(servers, "a", me="b"))
    other.route(leading(servers, None, me="b"))  # now it knew, and sees it gone
    assert waits(proxy.primary_port)


def test_what_a_node_took_back_no_other_gives_again(proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]) -> None:
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as writer:
        assert writer.hears() == "a"
        assert isinstance(agent.revoke(5), Applied)
        assert writer.hears() == ""
    other.route(leading(servers, "a", me="b"))
    Agent(section(proxy), member="b").route(leading(servers, "a", me="b"))
    assert waits(proxy.primary_port)
    agent.route(leading(servers, "a"))  # it holds the lease after all
    assert reached(proxy.primary_port) == "a"


def test_a_proxy_that_only_another_node_tells_follows_a_leader_that_is_primary_again_under_the_same_lease(
    proxy: Haproxy, other: Agent, servers: dict[str, Who]
) -> None:
    for leader, target in (("a", "a"), (None, None), ("a", "a")):  # a restore, a restart that failed once: it kept its lease
        assert isinstance(other.route(leading(servers, leader, me="b")), Applied)
        assert reached(proxy.primary_port) == target


def test_new_connections_wait_in_a_switchover_and_reach_the_next_leader(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as before:
        assert before.hears() == "a"
        answer = agent.drain(leading(servers, "a"))
        assert answer == Held(detail="1 sessions are left to the server's stop")
        assert before.hears(LIVES_S) is None
        with Visitor(proxy.primary_port) as visitor:
            assert visitor.hears() is None
            agent.route(leading(servers, "b", token=6))
            assert visitor.hears() == "b"
        assert before.hears() == ""


def test_what_is_under_way_may_end(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent = Agent(section(proxy, drain_wait="20s"))
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as before:
        assert before.hears() == "a"
        timer = threading.Timer(0.5, before.__exit__)
        timer.start()
        assert isinstance(agent.drain(leading(servers, "a"), ends_in_s=20), Held)
        timer.join()
    assert waits(proxy.primary_port)


def test_sessions_are_cut_where_the_settings_say_so(proxy: Haproxy, servers: dict[str, Who]) -> None:
    agent = Agent(section(proxy, drain_sessions="cut", drain_wait="100ms"))
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as before:
        assert before.hears() == "a"
        assert isinstance(agent.drain(leading(servers, "a")), Held)
        assert before.hears() == ""
    assert waits(proxy.primary_port)


def test_without_a_way_to_hold_nothing_is_drained(proxy: Haproxy, servers: dict[str, Who]) -> None:
    agent = Agent(section(proxy, hold="off"))
    agent.route(leading(servers, "a"))
    assert agent.drain(leading(servers, "a")) is None
    assert reached(proxy.primary_port) == "a"


def test_a_hold_is_let_go_by_its_leader_or_by_who_knows_that_it_is_over(
    proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]
) -> None:
    agent.route(leading(servers, "a"))
    agent.drain(leading(servers, "a"))
    now = other.context.clock.now()
    other.route(replace(leading(servers, "a", me="b"), hold=Hold(switchover_id="x", ends_at=now + 60)))
    assert waits(proxy.primary_port)
    agent.route(leading(servers, "a"))
    assert reached(proxy.primary_port) == "a"
    agent.drain(leading(servers, "a"))
    other.route(replace(leading(servers, "a", me="b"), hold=Hold(switchover_id="x", ends_at=now - 1)))
    assert reached(proxy.primary_port) == "a"


def test_a_node_that_has_not_read_of_a_switchover_lets_nothing_go_until_it_must_have(
    proxy: Haproxy, agent: Agent, other: Agent, servers: dict[str, Who]
) -> None:
    other.context = replace(other.context, policy=Policy(times=Times(ttl_s=20, loop_wait_s=1, retry_timeout_s=3)))
    agent.route(leading(servers, "a"))
    agent.drain(leading(servers, "a"))
    answer = other.route(leading(servers, "a", me="b"))
    assert isinstance(answer, Degraded)
    assert "its leader holds new connections back" in answer.reason
    assert waits(proxy.primary_port)  # and then its leader's agent died
    wait_for(lambda: isinstance(other.route(leading(servers, "a", me="b")), Applied), "it lets go", deadline_s=20)
    assert reached(proxy.primary_port) == "a"


def test_reads_go_to_the_leader_while_it_is_alone(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent.route(replace(leading(servers, "a"), standbys=()))
    assert reached(proxy.standby_port) == "a"
    agent.route(leading(servers, "a"))
    assert {reached(proxy.standby_port) for _ in range(4)} == {"b"}


def test_a_member_without_a_server_is_said(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    state = leading(servers, "a")
    answer = agent.route(replace(state, members=(*state.members, replace(state.me, member="c"))))
    assert isinstance(answer, Degraded)
    assert "backend pg_rw has no server for c" in answer.reason
    assert reached(proxy.primary_port) == "a"


def test_a_backend_that_is_not_there_is_said(proxy: Haproxy, servers: dict[str, Who]) -> None:
    answer = Agent(section(proxy, primary_backend="nope")).route(leading(servers, "a"))
    assert isinstance(answer, Degraded)
    assert "no backend nope" in answer.reason
    both = Agent(section(proxy, primary_backend="nope", standby_backend="nay"))
    assert isinstance(both.route(leading(servers, "a")), Degraded)
    assert both.faults() == (f"haproxy {proxy.socket}: no backend nope", f"haproxy {proxy.socket}: no backend nay")


def test_a_socket_that_may_not_change_anything_is_said(proxy: Haproxy, servers: dict[str, Who]) -> None:
    proxy.stop()
    proxy.config.write_text(proxy.config.read_text().replace("level admin", "level operator"))
    proxy.start()
    answer = Agent(section(proxy)).route(leading(servers, "a"))
    assert isinstance(answer, Degraded)
    assert "Permission denied" in answer.reason
    assert reached(proxy.primary_port) is None


def test_a_backend_without_a_marker_is_found_before_it_matters(proxy: Haproxy, servers: dict[str, Who]) -> None:
    assert Agent(section(proxy)).faults() == ()
    proxy.stop()
    proxy.config.write_text(proxy.config.read_text().replace("server hacore-token 0.0.0.0:1 disabled", ""))
    proxy.start()
    agent = Agent(section(proxy))
    assert "no server hacore-token" in " ".join(agent.faults())
    agent.route(leading(servers, "b", token=6))
    agent.route(leading(servers, "a", token=5))  # its own memory keeps the order
    assert reached(proxy.primary_port) == "b"


def test_what_the_proxy_shows_is_told(proxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    agent.route(leading(servers, "a"))
    with Visitor(proxy.primary_port) as writer:
        assert writer.hears() == "a"
        observed = agent.probe()
        assert observed.target == "a"
        assert "token 5: a no check, b MAINT" in observed.detail
        assert agent.plugin.hacore_status() == {str(proxy.socket): "token 5: a no check, b MAINT"}
        samples = agent.samples()
    assert samples[("haproxy_up",)] == 1
    assert samples[("haproxy_usable", "pg_rw", "a")] == samples[("haproxy_sessions", "pg_rw", "a")] == 1
    assert samples[("haproxy_usable", "pg_rw", "b")] == samples[("haproxy_waiting", "pg_rw")] == samples[("haproxy_cuts",)] == 0
    assert samples[("haproxy_changes",)] > 0
    proxy.signal(signal.SIGSTOP)
    with pytest.raises(PluginUnavailableError):
        agent.probe()
    assert agent.samples()[("haproxy_up",)] == 0
    assert agent.plugin.hacore_status() == {str(proxy.socket): "does not answer"}


def test_a_proxy_that_hangs_does_not_hold_up_another(proxy: Haproxy, servers: dict[str, Who], ports: Ports, scratch: Path) -> None:
    directory = scratch / "second"
    directory.mkdir()
    second = Haproxy(directory=directory, ports=ports)
    second.config.write_text(own_config(second, scratch / "hold.lua", servers))
    second.start()
    try:
        agent = Agent(section(proxy) | {"stats_socket": [str(proxy.socket), str(second.socket)], "timeout": "1s"})
        assert isinstance(agent.route(leading(servers, "a", token=5)), Applied)
        assert (reached(proxy.primary_port), reached(second.primary_port), agent.probe().target) == ("a", "a", "a")
        proxy.signal(signal.SIGSTOP)
        answer = agent.route(leading(servers, "b", token=6))
        assert isinstance(answer, Degraded)
        assert "no answer in time" in answer.reason
        assert reached(second.primary_port) == "b"
        assert isinstance(agent.revoke(6), Degraded)
        proxy.signal(signal.SIGCONT)
        wait_for(lambda: isinstance(agent.route(leading(servers, "b", token=7)), Applied), "both follow")
        assert reached(proxy.primary_port) == "b"
        agent.plugin.hacore_close()
    finally:
        second.stop()


@pytest.fixture(params=TALKS, ids=lambda talk: talk.__name__)
def no_haproxy(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Path]:
    """A socket at which something else answers."""
    path = scratch / "other.sock"
    with impostor(path, request.param):
        yield path


def test_what_is_no_haproxy_is_said_in_time(no_haproxy: Path, servers: dict[str, Who]) -> None:
    agent = Agent(SECTION | {"stats_socket": str(no_haproxy), "timeout": "500ms"})
    for call in (
        lambda: agent.route(leading(servers, "a")),
        lambda: agent.revoke(5),
        agent.probe,
        lambda: agent.drain(leading(servers, "a")),
    ):
        began = time.monotonic()
        with pytest.raises(PluginUnavailableError, match="haproxy"):
            call()
        assert time.monotonic() - began < 5
    assert agent.samples()[("haproxy_up",)] == 0


def test_a_proxy_that_is_not_there_is_said(haproxy: Haproxy, servers: dict[str, Who], ports: Ports) -> None:
    for place in (str(haproxy.socket), f"127.0.0.1:{ports.take()}", "no-such-host.invalid:9999"):
        agent = Agent(SECTION | {"stats_socket": place, "timeout": "1s"})
        with pytest.raises(PluginUnavailableError, match=place):
            agent.route(leading(servers, "a"))
        assert [place in fault for fault in _faults(agent)] == [True]


def _faults(agent: Agent) -> tuple[str, ...]:
    try:
        return agent.faults()
    except PluginUnavailableError as error:
        return (str(error),)


def test_a_proxy_is_reached_by_tcp(proxy: Haproxy, servers: dict[str, Who], ports: Ports) -> None:
    proxy.stop()
    port = ports.take()
    proxy.config.write_text(proxy.config.read_text().replace("defaults", f"    stats socket 127.0.0.1:{port} level admin\ndefaults"))
    proxy.start()
    assert isinstance(Agent(SECTION | {"stats_socket": f"localhost:{port}"}).route(leading(servers, "a")), Applied)
    assert reached(proxy.primary_port) == "a"
