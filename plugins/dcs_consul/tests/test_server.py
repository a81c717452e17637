"""What only a real Consul can show: its keys, its sessions, its servers."""

import base64
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Dcs, Put, Refused, Renewed, RenewRequest
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, eventually, look, now, renew, request_for, take, takes_at_most, write, written
from hacore.testing.consul import Consul
from hacore.testing.server_process import all_frozen
from hacore_dcs_consul.client import Client
from hacore_dcs_consul.plugin import ConsulPlugin
from hacore_dcs_consul.settings import ConsulSettings

TTL_S = 4.0
PREFIX = "hacore-kit/demo/"


@pytest.fixture
def consul(scratch: Path) -> Iterator[Consul]:
    with Consul(scratch) as server:
        yield server


@pytest.fixture
def three(scratch: Path) -> Iterator[Consul]:
    with Consul(scratch, size=3, clients=1) as servers:
        yield servers


def settings_of(consul: Consul, **more: Any) -> ConsulSettings:
    return ConsulSettings(endpoints=tuple(agent.url for agent in consul.agents), **more)


@contextlib.contextmanager
def opened(settings: ConsulSettings, member: str = "a") -> Iterator[Dcs]:
    with contextlib.closing(ConsulPlugin(settings).hacore_open_dcs(request_for("demo", member))) as session:
        yield session


def keys(consul: Consul) -> dict[str, Any]:
    return {one["Key"]: one for one in consul.ask(f"kv/{PREFIX}?recurse") or []}


def session_of(consul: Consul, name: str) -> str:
    return str(keys(consul)[PREFIX + name].get("Session", ""))


def test_the_keys_and_the_session_are_those_of_the_field(consul: Consul) -> None:
    with opened(settings_of(consul), "node-1") as session:
        take(session, TTL_S, Put(name="status", value='{"optime":1}'))
        session.publish('{"state":"running"}', ttl_s=TTL_S, timeout_s=CALL_S)
        assert {name: base64.b64decode(one["Value"]).decode() for name, one in keys(consul).items()} == {
            "hacore-kit/demo/leader": "node-1",
            "hacore-kit/demo/members/node-1": '{"state":"running"}',
            "hacore-kit/demo/status": '{"optime":1}',
        }
        number = session_of(consul, "leader")
        assert number == session_of(consul, "members/node-1") != ""
        assert session_of(consul, "status") == ""
        [found] = consul.ask(f"session/info/{number}")
        assert {name: found[name] for name in ("Name", "TTL", "Behavior", "LockDelay", "NodeChecks")} == {
            "Name": "demo-node-1",
            "TTL": "2s",  # of which Consul waits for twice as long
            "Behavior": "delete",
            "LockDelay": 1_000_000,  # nanoseconds
            "NodeChecks": [],
        }


def test_a_session_hangs_on_the_checks_that_are_configured(consul: Consul) -> None:
    with opened(settings_of(consul, checks=("serfHealth",))) as session:
        take(session, TTL_S)
        [found] = consul.ask(f"session/info/{session_of(consul, 'leader')}")
        assert found["NodeChecks"] == ["serfHealth"]


def test_an_observer_asks_for_no_session(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        written(session, Put(name="failover", value="{}"))
        look(session)
        assert consul.ask("session/list") == []


def test_a_ttl_that_is_too_short_for_the_servers_is_raised(scratch: Path) -> None:
    with Consul(scratch, settings={"session_ttl_min": "10s"}) as consul, opened(settings_of(consul)) as session:
        lock = take(session, TTL_S)
        [found] = consul.ask(f"session/info/{session_of(consul, 'leader')}")
        assert found["TTL"] == f"{ConsulPlugin.hacore_dcs_capabilities().minimum_ttl_s / 2:g}s" == "10s"
        assert isinstance(renew(session, lock, TTL_S), Renewed)
        assert session_of(consul, "leader") == found["ID"], "the session that was raised is renewed, not replaced"


def test_a_session_that_is_destroyed_is_a_definite_loss_and_the_member_comes_back_under_another(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock = take(session, TTL_S)
        consul.ask(f"session/destroy/{session_of(consul, 'leader')}", method="PUT")
        assert renew(session, lock, TTL_S) == Refused(holder=None)
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        assert look(session).members["a"].value == "member"
        eventually(lambda: isinstance(session.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S), Acquired))
        seen = look(session).lock
        assert seen is not None
        assert seen.instance != lock.instance


def test_a_write_under_a_session_that_is_gone_is_not_taken_for_a_refusal(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        session.publish("member", ttl_s=60.0, timeout_s=CALL_S)
        consul.ask(f"session/destroy/{session_of(consul, 'members/a')}", method="PUT")
        with pytest.raises(DcsUnavailableError, match=r"invalid session|held by another"):  # the latter within the lock delay
            session.publish("another", ttl_s=60.0, timeout_s=CALL_S)

        def is_written() -> bool:
            with suppress(DcsUnavailableError):
                session.publish("another", ttl_s=60.0, timeout_s=CALL_S)
                return look(session).members["a"].value == "another"
            return False

        eventually(is_written)


def test_a_lock_delay_is_a_refusal_until_it_has_passed(consul: Consul) -> None:
    foreign = consul.ask("session/create", {"LockDelay": "2s", "Behavior": "delete", "NodeChecks": [], "Checks": []}, method="PUT")["ID"]
    assert consul.ask(f"kv/{PREFIX}leader?acquire={foreign}", "other", method="PUT") is True
    with opened(settings_of(consul)) as session:
        assert session.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S) == Refused(holder="other")
        consul.ask(f"session/destroy/{foreign}", method="PUT")
        destroyed_at = now()
        assert session.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S) == Refused(holder=None)
        eventually(lambda: isinstance(session.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S), Acquired))
        assert now() >= destroyed_at + 1.9


def test_a_leader_key_that_ends_with_no_session_is_no_lock_and_is_replaced(consul: Consul) -> None:
    consul.ask(f"kv/{PREFIX}leader", "somebody", method="PUT")
    with opened(settings_of(consul)) as session:
        assert look(session).lock is None
        lock = take(session, TTL_S)
        assert look(session).lock == lock
        assert session_of(consul, "leader") != ""


def test_a_lock_moves_to_the_session_of_its_holder_s_next_agent_and_keeps_its_instance(consul: Consul) -> None:
    with opened(settings_of(consul)) as first:
        first.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock = take(first, TTL_S)
    before = session_of(consul, "leader")
    with opened(settings_of(consul)) as second:
        assert look(second).lock == lock
        assert isinstance(renew(second, lock, TTL_S), Renewed)
        after = session_of(consul, "leader")
        assert after == session_of(consul, "members/a") != before
        consul.ask(f"session/destroy/{before}", method="PUT")
        seen = look(second)
        assert (seen.lock, seen.members["a"].value) == (lock, "member")


def test_a_value_that_is_written_again_as_it_stands_keeps_its_version(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        (first,) = written(session, Put(name="config", value="same"))
        (second,) = written(session, Put(name="config", value="same", expected=first))
        assert second == look(session).records["config"].version == first


def test_a_deletion_that_expects_another_version_is_refused_also_of_what_is_gone(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        (version,) = written(session, Put(name="sync", value="1"))
        assert isinstance(write(session, Put(name="sync", value=None, expected=version + 1)), Refused)
        written(session, Put(name="sync", value=None, expected=version))
        assert isinstance(write(session, Put(name="sync", value=None, expected=version)), Refused)
        assert written(session, Put(name="sync", value=None, expected=0)) == (0,)


def test_a_server_that_was_started_empty_has_lost_the_lock_and_is_filled_again(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        written(session, Put(name="config", value="1"))
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        lock = take(session, 30.0)
        consul.empty()
        assert renew(session, lock, 30.0) == Refused(holder=None)
        seen = look(session)
        assert (seen.lock, dict(seen.records), dict(seen.members)) == (None, {}, {})
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        take(session, 30.0)
        assert set(look(session).members) == {"a"}


def test_an_agent_that_is_gone_is_passed_over_at_once(consul: Consul) -> None:
    settings = ConsulSettings(endpoints=("http://127.0.0.1:9", "http://no-such-host.invalid:8500", consul.servers[0].url))
    with opened(settings) as session, takes_at_most(0.5):
        for number in range(5):
            written(session, Put(name="config", value=str(number)))


def test_no_agent_at_all_is_unavailable_and_not_a_wrong_configuration() -> None:
    with takes_at_most(3.0), pytest.raises(DcsUnavailableError), opened(ConsulSettings(endpoints=("http://127.0.0.1:9",))):
        pass


def test_something_else_that_answers_is_not_taken_for_consul(scratch: Path) -> None:
    with subprocess.Popen(
        ["/usr/bin/python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=scratch, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().split()[5].decode()
        try:
            with pytest.raises(DcsUnavailableError, match="not Consul"), opened(ConsulSettings(endpoints=(f"http://127.0.0.1:{port}",))):
                pass
        finally:
            other.kill()


def test_the_agent_of_the_machine_finds_another_server_when_the_leader_is_frozen(three: Consul) -> None:
    settings = ConsulSettings(endpoints=(three.clients[0].url,))
    with opened(settings) as session:
        session.publish("member", ttl_s=20.0, timeout_s=CALL_S)
        lock = take(session, 20.0)
        leader = three.leader()
        with leader.frozen():
            eventually(lambda: renewed(session, lock.instance), within_s=18.0)
        three.wait_ready()
        seen = look(session)
        assert seen.lock == lock
        assert "a" in seen.members


def test_while_the_agent_of_the_machine_is_started_anew_another_takes_its_place(three: Consul) -> None:
    settings = ConsulSettings(endpoints=(three.clients[0].url, three.servers[0].url))
    with opened(settings) as session:
        lock = take(session, TTL_S)
        three.clients[0].kill()
        for _ in range(3):
            assert isinstance(renew(session, lock, TTL_S), Renewed)
        three.start()
        assert isinstance(renew(session, lock, TTL_S), Renewed)


def test_a_minority_renews_nothing(three: Consul) -> None:
    with opened(settings_of(three)) as session:
        lock = take(session, 30.0)
        with all_frozen(three.servers[1:]), takes_at_most(1.5), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=1.5)
        three.wait_ready()
        eventually(lambda: renewed(session, lock.instance))


def test_a_member_record_does_not_age_while_consul_itself_is_without_a_quorum(three: Consul) -> None:
    with opened(settings_of(three)) as session:
        session.publish("member", ttl_s=8.0, timeout_s=CALL_S)
        leader = three.leader()
        with all_frozen(server for server in three.servers if server is not leader):
            time.sleep(11.0)  # longer than its session
        three.wait_ready()
        assert "a" in look(session).members


def renewed(session: Dcs, instance: str) -> bool:
    """Renew as an agent does: by what the store shows, again and again until it answers."""
    with contextlib.suppress(DcsUnavailableError):
        lock = look(session).lock
        assert lock is not None
        assert lock.instance == instance
        return isinstance(renew(session, lock, 20.0), Renewed)
    return False


def test_a_comparison_that_fails_for_a_record_with_a_telling_name_is_no_want_of_rights(consul: Consul) -> None:
    with opened(settings_of(consul)) as session:
        for name in ("ORACLE", 'a "quoted" ACL', "ermission denied", "invalid session"):
            assert isinstance(write(session, Put(name=name, value="1", expected=7)), Refused)


def test_an_answer_without_content_is_not_an_empty_store() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        settings = ConsulSettings(endpoints=(f"http://127.0.0.1:{listener.getsockname()[1]}",))
        with pytest.raises(DcsUnavailableError, match="without an answer"):
            Client(settings, BootClock()).read("kv/demo/", {"recurse": ""}, until=now() + CALL_S)
        answering.join()
