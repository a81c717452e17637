import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hacore.config.settings import CtlSettings
from hacore.model.cluster import Member
from hacore.model.lsn import Lsn
from hacore.model.node import PeerState, Role
from hacore.observe.peers import HttpPeers, peer_state

CTL = CtlSettings(authentication=None, insecure=False, cacert=None, certfile=None, keyfile=None, keyfile_password=None)
STANDBY = {
    "state": "running",
    "role": "replica",
    "xlog": {"received_location": 500, "replayed_location": 400, "replayed_timestamp": None, "paused": False},
    "timeline": 3,
    "replication_state": "streaming",
    "database_system_identifier": "7298374655123456789",
    "patroni": {"version": "4.0.7", "scope": "demo", "name": "b"},
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            STANDBY,
            PeerState(
                name="b",
                reachable=True,
                role=Role.STANDBY,
                state="running",
                timeline=3,
                lsn=Lsn(500),
                system_id="7298374655123456789",
                streams=True,
            ),
            id="standby of the field",
        ),
        pytest.param(
            {**STANDBY, "hacore": {"version": "0.1.0", "durable_lsn": 450}},
            PeerState(
                name="b",
                reachable=True,
                role=Role.STANDBY,
                state="running",
                timeline=3,
                lsn=Lsn(450),
                system_id="7298374655123456789",
                is_hacore=True,
                streams=True,
            ),
            id="standby of ours: what is durable counts",
        ),
        pytest.param(
            {"state": "running", "role": "primary", "xlog": {"location": 700}, "tags": {"failover_priority": 2}},
            PeerState(name="b", reachable=True, role=Role.PRIMARY, state="running", lsn=Lsn(700), failover_priority=2),
            id="primary",
        ),
        pytest.param(
            {"state": "running", "role": "master", "wal": {"location": 700}},
            PeerState(name="b", reachable=True, role=Role.PRIMARY, state="running", lsn=Lsn(700)),
            id="primary of an older release",
        ),
        pytest.param(
            {"state": "unknown", "role": "replica", "tags": {"nofailover": True}, "watchdog_failed": True},
            PeerState(name="b", reachable=True, state="unknown", nofailover=True, failover_priority=0, refuses_election=True),
            id="server does not answer",
        ),
        pytest.param(
            {"state": "unknown", "role": "primary"},
            PeerState(name="b", reachable=True, role=Role.PRIMARY, state="unknown"),
            id="primary that does not answer may still be alive",
        ),
        pytest.param(
            {"state": "stopped", "role": "demoted"}, PeerState(name="b", reachable=True, state="stopped"), id="stopped after a demotion"
        ),
        pytest.param(
            {"state": 7, "role": [], "xlog": {"received_location": "x", "replayed_location": True}, "timeline": -1, "tags": 3, "hacore": 1},
            PeerState(name="b", reachable=True, role=Role.STANDBY, streams=False),
            id="nonsense is not known",
        ),
        pytest.param(
            {"state": "running", "role": "replica", "hacore": {"version": "0.1.0", "refuses_election": "synchronous_mode"}},
            PeerState(name="b", reachable=True, state="running", is_hacore=True, refuses_election=True),
            id="one of ours that must not lead",
        ),
    ],
)
def test_a_status_document_is_understood(document: dict[str, object], expected: PeerState) -> None:
    assert peer_state("b", document) == expected


def test_who_answers_under_another_name_does_not_speak_for_the_member() -> None:
    assert peer_state("c", STANDBY) == PeerState(name="c", reachable=False)
    assert peer_state("c", {**STANDBY, "patroni": {"version": "2.1.0", "scope": "demo"}}).reachable  # an older release tells no name


Behaviour = Callable[[socket.socket], None]


@contextmanager
def listening(behave: Behaviour) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            open_ones.append(client)
            threading.Thread(target=behave, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/patroni"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        for one in (listener, *open_ones):
            one.close()


def answering(data: bytes) -> Behaviour:
    def behave(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(data)
        client.close()

    return behave


def silent(client: socket.socket) -> None:
    client.recv(65536)


def dribbling(client: socket.socket, begins: bytes = b"HTTP/1.0 200 OK\r\n\r\n") -> None:
    try:
        client.sendall(begins)
        for _ in range(1000):
            client.sendall(b" ")
            time.sleep(0.05)
    except OSError:
        return


GOOD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(STANDBY).encode()


def test_members_that_answer_and_those_that_do_not_are_told_apart_in_time() -> None:
    with listening(answering(GOOD)) as good, listening(silent) as mute, listening(dribbling) as slow:
        members = [
            Member(name="b", api_url=good),
            Member(name="mute", api_url=mute),
            Member(name="slow", api_url=slow),
            Member(name="none"),
            Member(name="gone", api_url="http://127.0.0.1:1/patroni"),
            Member(name="odd", api_url="ftp://127.0.0.1/x"),
            Member(name="broken", api_url="http://[::1"),
        ]
        began = time.monotonic()
        found = HttpPeers(CTL).ask(members, timeout_s=0.5)
        assert time.monotonic() - began < 2.0
    assert [one.name for one in found] == [one.name for one in members]
    assert [one.name for one in found if one.reachable] == ["b"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.0 503 Service Unavailable\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n[1]",
        b"HTTP/1.0 200 OK\r\n\r\n{",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 50_000,
        b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (2 << 20),
        b'HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{"state":',
        b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
    ],
)
def test_an_answer_that_is_none_is_no_reason_to_fail(answer: bytes) -> None:
    with listening(answering(answer)) as url:
        found = HttpPeers(CTL).ask([Member(name="b", api_url=url)], timeout_s=5.0)
    assert found == (PeerState(name="b", reachable=False),)


def test_a_member_that_hangs_is_not_asked_by_a_second_thread() -> None:
    asked = threading.Semaphore(0)

    def hang(client: socket.socket) -> None:
        asked.release()
        dribbling(client, b"HTTP/1.0 200 OK\r\nX: ")  # only what comes after the head is read under one deadline

    with listening(hang) as url:
        peers = HttpPeers(CTL)
        member = Member(name="hanging", api_url=url)
        peers.ask([member], timeout_s=0.2)
        assert asked.acquire(timeout=10.0)
        peers.ask([member], timeout_s=0.05)
        assert [one.name for one in threading.enumerate()].count("peer hanging") == 1
