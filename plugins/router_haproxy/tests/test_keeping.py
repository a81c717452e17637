"""The configuration follows the members of a real HAProxy, and neither a reload nor a mistake costs a connection."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Applied, Degraded, Endpoint, Hold, RoutingState
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.waiting import wait_for
from hacore_router_haproxy import rendering
from plugins.router_haproxy.tests.driven import Agent
from plugins.router_haproxy.tests.served import Haproxy, Visitor, Who, behind, leading, reached, site_section, waits

LIVES_S = 0.2  # a connection that was cut is heard within this time


@pytest.fixture
def agent(haproxy: Haproxy, servers: dict[str, Who]) -> Agent:
    """The first state has been told to a HAProxy that was started with the text for no member."""
    agent = Agent(site_section(haproxy))
    begin(haproxy, agent)
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    return agent


def begin(haproxy: Haproxy, agent: Agent) -> None:
    settings = agent.settings
    assert settings.config is not None
    Path(settings.config.hold_script).write_text(rendering.packaged(rendering.HOLD_SCRIPT))
    haproxy.config.write_text(rendering.render("demo", settings, settings.config, ()))
    haproxy.start()


def joined(servers: dict[str, Who], third: Who) -> dict[str, Who]:
    return servers | {third.name: third}


@pytest.fixture
def third(ports: Ports) -> Any:
    one = Who("c", ports.take())
    yield one
    one.close()


def test_a_member_that_joins_gets_a_server_and_nothing_else_changes(
    haproxy: Haproxy, agent: Agent, servers: dict[str, Who], third: Who
) -> None:
    marker = haproxy.servers()["hacore-token"]
    with Visitor(haproxy.primary_port) as writer, Visitor(haproxy.standby_port) as reader:
        assert (writer.hears(), reader.hears()) == ("a", "b")
        assert isinstance(agent.route(leading(joined(servers, third), "a")), Applied)
        assert writer.hears(LIVES_S) is None
        assert reader.hears(LIVES_S) is None
        assert reached(haproxy.primary_port) == "a"
    assert {reached(haproxy.standby_port) for _ in range(6)} == {"b", "c"}
    assert haproxy.servers()["hacore-token"] == marker
    assert agent.samples()[("haproxy_reloads",)] == 2


def test_who_leads_is_kept_over_a_reload_that_nobody_told_anything(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    """The new worker itself knows it, from the file of states: at no moment does a connection meet a proxy that leads nowhere."""
    before = haproxy.servers()
    assert agent.settings.config is not None
    state_file = Path(agent.settings.config.server_state_file)
    state_file.write_text(haproxy.ask("show servers state"))
    pid = haproxy.ask("show info").split("Pid: ")[1].split()[0]
    master = agent.plugin._proxies._ones[0].master
    assert master is not None
    assert master.reload(clock=agent.context.clock, until=agent.context.clock.now() + 5) is None
    wait_for(lambda: haproxy.is_up() and f"Pid: {pid}\n" not in haproxy.ask("show info"), "another worker")
    assert haproxy.servers() == before
    assert "0.0.0.5" in haproxy.ask("show servers state hacore_primary")
    assert reached(haproxy.primary_port) == "a"


def test_no_file_of_states_is_left_for_a_restart(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    assert agent.settings.config is not None
    state_file = Path(agent.settings.config.server_state_file)
    assert not state_file.exists()
    state_file.write_text(haproxy.ask("show servers state"))  # by an agent that was killed
    agent.route(leading(servers, "a"))
    assert not state_file.exists()
    haproxy.stop()
    haproxy.start()
    assert reached(haproxy.primary_port) is None


def test_sessions_in_a_worker_that_was_replaced_are_cut_too(haproxy: Haproxy, agent: Agent, servers: dict[str, Who], third: Who) -> None:
    with Visitor(haproxy.primary_port) as writer, Visitor(haproxy.standby_port) as reader:
        assert (writer.hears(), reader.hears()) == ("a", "b")
        agent.route(leading(joined(servers, third), "a", token=5))
        agent.route(leading(joined(servers, third), "a", token=5))
        assert writer.hears(LIVES_S) is None
        agent.route(leading(joined(servers, third), "b", token=6))
        assert writer.hears() == ""
        assert reader.hears(LIVES_S) is None


def test_members_are_reached_where_they_are_after_they_have_moved(
    haproxy: Haproxy, agent: Agent, servers: dict[str, Who], ports: Ports
) -> None:
    with behind(ports, "a", "b") as moved:
        assert isinstance(agent.route(leading(moved, "a")), Applied)
        for one in servers.values():
            one.close()
        assert (reached(haproxy.primary_port), reached(haproxy.standby_port)) == ("a", "b")
    assert agent.samples()[("haproxy_reloads",)] == 2


def test_checks_ask_where_the_new_text_says(haproxy: Haproxy, agent: Agent, servers: dict[str, Who], ports: Ports) -> None:
    for port in (ports.take(), ports.take()):
        Agent(site_section(haproxy, rest_port=port)).route(leading(servers, "a"))
        rows = [line.split() for line in haproxy.ask("show servers state hacore_standbys").splitlines()[2:] if line.strip()]
        assert {row[21] for row in rows} == {str(port)}


def named(servers: dict[str, Who]) -> RoutingState:
    """a leads, and b has a name."""
    state = leading(servers, "a")
    b = Endpoint(member="b", host="localhost", port=servers["b"].endpoint.port)
    return replace(state, standbys=(b,), members=(state.me, b))


def test_a_name_that_means_another_address_now_is_followed(haproxy: Haproxy, agent: Agent, servers: dict[str, Who], ports: Ports) -> None:
    assert isinstance(agent.route(named(servers)), Applied)
    haproxy.ask("set server hacore_standbys/b addr 127.0.0.9 port 5432")
    wait_for(lambda: isinstance(agent.route(named(servers)), Applied), "the router is well", deadline_s=20)
    assert reached(haproxy.standby_port) == "b"


def test_a_name_that_nobody_knew_when_haproxy_was_started_is_said_and_followed_once_it_is_known(
    haproxy: Haproxy, agent: Agent, servers: dict[str, Who]
) -> None:
    assert isinstance(agent.route(named(servers)), Applied)
    haproxy.stop()
    text = haproxy.config.read_text()
    late = text.replace(" localhost:", " late.invalid:")
    haproxy.config.write_text(late)
    haproxy.start()
    answer = Agent(site_section(haproxy) | {"config": None}).route(named(servers))  # that keeps no configuration
    assert isinstance(answer, Degraded)
    assert "not done: set server hacore_standbys/b state ready" in answer.reason
    haproxy.config.write_text(text)  # what the name server does then: the same words mean something
    assert isinstance(agent.route(named(servers)), Applied)
    assert reached(haproxy.standby_port) == "b"


def test_a_node_that_comes_and_goes_costs_no_reload(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    state = leading(servers, "a")
    gone = replace(state, members=(state.me,), standbys=())
    for one in (gone, state, gone, state):
        assert isinstance(agent.route(one), Applied)
    assert agent.samples()[("haproxy_reloads",)] == 1


def test_a_configuration_that_haproxy_refuses_never_replaces_the_good_one(
    haproxy: Haproxy, servers: dict[str, Who], third: Who, scratch: Path
) -> None:
    template = scratch / "mine.j2"
    good = rendering.packaged(rendering.TEMPLATE)
    template.write_text(good)
    agent = Agent(site_section(haproxy, template=str(template)))
    begin(haproxy, agent)
    agent.route(leading(servers, "a", token=5))
    text = haproxy.config.read_text()
    template.write_text(good + "    bogus keyword\n")
    answer = agent.route(leading(joined(servers, third), "b", token=6))
    assert isinstance(answer, Degraded)
    assert "refused" in answer.reason
    assert "unknown keyword 'bogus'" in answer.reason
    assert haproxy.config.read_text() == text
    assert [path.name for path in scratch.glob("*hacore-new*")] == []
    assert reached(haproxy.primary_port) == "b"  # what can be done is done
    assert agent.samples()[("haproxy_refusals",)] == 1
    template.write_text("{{ no_such_word }}")
    answer = agent.route(leading(servers, "b", token=6))
    assert isinstance(answer, Degraded)
    assert "no_such_word" in answer.reason
    template.write_text(good)
    assert isinstance(agent.route(leading(joined(servers, third), "b", token=6)), Applied)
    assert "server c" in haproxy.config.read_text()


def test_a_switchover_that_keeps_connections_waiting_is_let_pass_first(
    haproxy: Haproxy, agent: Agent, servers: dict[str, Who], third: Who
) -> None:
    agent.drain(leading(servers, "a"))
    hold = Hold(switchover_id="x", ends_at=agent.context.clock.now() + 60)
    with Visitor(haproxy.primary_port) as visitor:
        assert visitor.hears() is None
        agent.route(replace(leading(joined(servers, third), "a"), hold=hold))
        assert agent.samples()[("haproxy_reloads",)] == 1
        agent.route(leading(servers, "b", token=6))
        assert visitor.hears() == "b"
    assert isinstance(agent.route(leading(joined(servers, third), "b", token=6)), Applied)
    assert agent.samples()[("haproxy_reloads",)] == 2


def test_a_text_that_was_changed_by_hand_is_written_anew(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    text = haproxy.config.read_text()
    haproxy.config.write_text(text.replace("timeout check 2s", "timeout check 3s"))
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    assert haproxy.config.read_text() == text
    assert reached(haproxy.primary_port) == "a"


def test_files_that_are_no_text_are_written_anew(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    assert agent.settings.config is not None
    files = (haproxy.config, Path(agent.settings.config.hold_script))
    texts = [one.read_text() for one in files]
    for one in files:
        one.write_bytes(b"\xff\xfe damaged")
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    assert [one.read_text() for one in files] == texts
    assert reached(haproxy.primary_port) == "a"


def test_a_reload_that_is_owed_is_made_by_the_next_agent(haproxy: Haproxy, agent: Agent, servers: dict[str, Who]) -> None:
    section = site_section(haproxy, connect_timeout="3s")
    text_of = Agent(section).settings
    assert text_of.config is not None
    members = rendering.written_members(haproxy.config.read_text())
    haproxy.config.write_text(rendering.render("demo", text_of, text_of.config, members))  # and the agent was killed
    successor = Agent(section)
    assert isinstance(successor.route(leading(servers, "a")), Applied)
    assert successor.samples()[("haproxy_reloads",)] == 1
    assert isinstance(successor.route(leading(servers, "a")), Applied)
    assert successor.samples()[("haproxy_reloads",)] == 1
    assert reached(haproxy.primary_port) == "a"


def test_a_reload_that_could_not_be_asked_for_is_made_with_the_next_state(haproxy: Haproxy, servers: dict[str, Who], third: Who) -> None:
    agent = Agent(site_section(haproxy))
    begin(haproxy, agent)
    away = haproxy.master.rename(haproxy.directory / "away.sock")  # as in the moment before a master listens
    answer = agent.route(leading(servers, "a"))
    assert isinstance(answer, Degraded)
    assert "master.sock: No such file" in answer.reason
    away.rename(haproxy.master)
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    assert reached(haproxy.primary_port) == "a"


def test_a_reload_that_does_not_help_is_not_made_again_at_once(haproxy: Haproxy, servers: dict[str, Who], scratch: Path) -> None:
    count = scratch / "count"
    section = site_section(haproxy, reload_command=["sh", "-c", f"echo >>{count}"])
    del section["master_socket"]
    agent = Agent(section)
    begin(haproxy, agent)
    for sentence in ("does not run with the new configuration yet", "the last reload did not help", "the last reload did not help"):
        answer = agent.route(leading(servers, "a"))
        assert isinstance(answer, Degraded)
        assert sentence in answer.reason
    assert len(count.read_text().splitlines()) == 1


def test_clients_do_not_wait_for_a_reload(haproxy: Haproxy, agent: Agent, servers: dict[str, Who], third: Who, scratch: Path) -> None:
    section = site_section(haproxy, reload_command="sleep 100")
    del section["master_socket"]
    slow = Agent(section)
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(slow.route(leading(joined(servers, third), "b", token=6))))
    thread.start()
    wait_for(lambda: reached(haproxy.primary_port) == "b", "writes go to the next leader", deadline_s=10)
    assert thread.is_alive()
    thread.join(20)
    assert "sleep does not end" in str(answers)


def test_a_reload_by_a_command(haproxy: Haproxy, servers: dict[str, Who], scratch: Path) -> None:
    """The classic way: a new process takes over the sockets of the one before, which goes on with its sessions."""
    program = locate("haproxy").program("haproxy")
    reload = scratch / "reload"
    pids = scratch / "pids"
    reload.write_text(f"#!/bin/sh\nexec {program} -D -f {haproxy.config} -p {pids} -x {haproxy.socket} -sf $(cat {pids})\n")
    reload.chmod(0o755)
    section = site_section(haproxy, reload_command=str(reload), socket_options="mode 600 level admin expose-fd listeners")
    del section["master_socket"]
    agent = Agent(section)
    begin(haproxy, agent)
    pids.write_text(haproxy.ask("show info").split("Pid: ")[1].split()[0])
    children: list[psutil.Process] = []
    try:
        assert isinstance(agent.route(leading(servers, "a")), Applied)
        children = [psutil.Process(int(pids.read_text()))]
        assert reached(haproxy.primary_port) == "a"
    finally:
        for child in children:
            child.kill()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"reload_command": "/nowhere/reload"}, "/nowhere/reload: No such file or directory"),
        ({"reload_command": "false"}, "false ends with 1"),
        ({"reload_command": "sleep 100"}, "sleep does not end"),
        ({"reload_command": "true", "check_command": "/nowhere/haproxy {file}"}, "/nowhere/haproxy: No such file or directory"),
        ({"reload_command": "true", "check_command": "sh -c 'exec sleep 100' {file}"}, "sh does not end"),
        ({"reload_command": "true", "path": "/nowhere/haproxy.cfg", "hold_script": "/tmp/x.lua"}, "/nowhere/"),
    ],
)
def test_what_does_not_work_is_said_and_the_rest_is_done(
    haproxy: Haproxy, servers: dict[str, Who], config: dict[str, Any], sentence: str
) -> None:
    section = site_section(haproxy)
    agent = Agent(section)
    begin(haproxy, agent)
    assert isinstance(agent.route(leading(servers, "a", token=5)), Applied)
    changed = site_section(haproxy, max_connections=50, **config)
    del changed["master_socket"]
    answer = Agent(changed).route(leading(servers, "b", token=6))
    assert isinstance(answer, Degraded)
    assert sentence in answer.reason
    assert reached(haproxy.primary_port) == "b"


def test_what_a_person_must_mend_is_found_before_the_start(haproxy: Haproxy, scratch: Path) -> None:
    assert Agent(site_section(haproxy)).faults(online=False) == ()
    assert "mine.j2" in Agent(site_section(haproxy, template=str(scratch / "mine.j2"))).faults(online=False)[0]
    (scratch / "odd.j2").write_text("global\n    no_such_word yes\n")
    assert "no_such_word" in Agent(site_section(haproxy, template=str(scratch / "odd.j2"))).faults(online=False)[0]
    (fault,) = Agent(site_section(haproxy, check_command=["/nowhere/haproxy", "-c", "-f", "{file}"])).faults(online=False)
    assert "/nowhere/haproxy: No such file" in fault
    nowhere = Agent(site_section(haproxy, path="/nowhere/haproxy.cfg"))
    assert nowhere.faults(online=False) == ("/nowhere: no directory in which we may write",)


def test_without_a_haproxy_there_is_a_configuration_to_start_it_with(haproxy: Haproxy, servers: dict[str, Who]) -> None:
    agent = Agent(site_section(haproxy) | {"timeout": "1s"})
    with pytest.raises(PluginUnavailableError, match=str(haproxy.socket)):
        agent.route(leading(servers, "a"))
    haproxy.start()
    assert waits(haproxy.primary_port)
    assert isinstance(agent.route(leading(servers, "a")), Applied)
    assert reached(haproxy.primary_port) == "a"


CHECKED = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Rest(BaseHTTPRequestHandler):
    def do_OPTIONS(self):
        self.send_response(int(sys.argv[2])); self.end_headers()
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Rest).serve_forever()
"""


def test_the_checks_have_the_last_word(haproxy: Haproxy, servers: dict[str, Who], ports: Ports) -> None:
    """A member that its own REST server does not call primary is not kept up by what the agents say, and that is said."""
    port = ports.take()
    with rest(port, 503):
        agent = Agent(site_section(haproxy, rest_port=port))
        begin(haproxy, agent)
        agent.route(leading(servers, "a"))
        wait_for(lambda: is_down(agent, servers), "the check's word")
        assert agent.probe().target is None


def test_in_maintenance_agents_may_be_away_and_clients_stay(haproxy: Haproxy, servers: dict[str, Who], ports: Ports) -> None:
    port = ports.take()
    with rest(port, 200):
        agent = Agent(site_section(haproxy, rest_port=port))
        begin(haproxy, agent)
        agent.route(leading(servers, "a"))
        wait_for(lambda: haproxy.checks("a") == "L7OK", "the check's first answer")
        assert isinstance(agent.route(replace(leading(servers, "a"), is_paused=True)), Applied)
    with Visitor(haproxy.primary_port) as writer:
        assert writer.hears() == "a"
        assert writer.hears(4.0) is None  # more than HAProxy takes to find a server down
        assert reached(haproxy.primary_port) == "a"
        next_one = Agent(site_section(haproxy, rest_port=port))  # that did not see the maintenance
        wait_for(lambda: is_down(next_one, servers), "the checks go on")
        assert writer.hears() == ""


def test_a_node_that_has_missed_the_end_or_the_beginning_of_a_maintenance_does_not_rule_the_checks(
    haproxy: Haproxy, servers: dict[str, Who], ports: Ports
) -> None:
    port = ports.take()
    leader, cut_off = Agent(site_section(haproxy, rest_port=port)), Agent(site_section(haproxy, rest_port=port), member="b")
    ends_at = leader.context.clock.now() + 60
    mine, others = replace(leading(servers, "a"), valid_until=ends_at), leading(servers, "a", me="b")
    with rest(port, 200):
        begin(haproxy, leader)
        for agent, state, is_checked in (
            (leader, mine, True),
            (cut_off, others, True),
            (leader, replace(mine, is_paused=True), False),
            (cut_off, others, False),  # has missed that it began
            (cut_off, replace(others, is_paused=True), False),
            (leader, mine, True),
            (cut_off, replace(others, is_paused=True), False),  # has missed that it ended
            (leader, mine, True),
        ):
            agent.route(state)
            shown = leader.plugin._proxies._ones[0].look(clock=leader.context.clock, until=ends_at).backends
            assert {one.is_checked for backend in shown.values() for one in backend.servers.values()} == {is_checked}


def is_down(agent: Agent, servers: dict[str, Who]) -> bool:
    """Whether the leader is told to be closed by its check."""
    answer = agent.route(leading(servers, "a"))
    return isinstance(answer, Degraded) and "the checks of hacore_primary/a say DOWN" in answer.reason


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def rest(port: int, status: int) -> Iterator[None]:
    """A REST server that answers all checks so."""
    server = psutil.Popen([sys.executable, "-c", CHECKED, str(port), str(status)])
    try:
        wait_for(lambda: listens(port), "the REST server", deadline_s=20)
        yield
    finally:
        server.kill()
        server.wait(5)


def test_a_standby_is_reached_by_name(haproxy: Haproxy, servers: dict[str, Who]) -> None:
    agent = Agent(site_section(haproxy))
    begin(haproxy, agent)
    assert isinstance(agent.route(named(servers)), Applied)
    assert reached(haproxy.standby_port) == "b"
