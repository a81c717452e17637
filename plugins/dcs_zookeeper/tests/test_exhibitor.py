"""Servers that Exhibitor knows: a small HTTP server tells, in its place, what a real one would."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put
from hacore.testing.conformance.store import eventually, look, take, takes_at_most, written
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.places import read
from hacore_dcs_zookeeper.plugin import ExhibitorPlugin
from hacore_dcs_zookeeper.settings import ExhibitorSettings, ZookeeperSettings
from plugins.dcs_zookeeper.tests.sessions import answered, opened, renewed


@dataclass
class Told:
    """What the little Exhibitor says, and how often it was asked."""

    answer: bytes
    port: int = 0
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def exhibitor() -> Iterator[Told]:
    told = Told(b"")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(told.answer)))
            self.end_headers()
            self.wfile.write(told.answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


@pytest.fixture
def zookeeper(scratch: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(scratch) as servers:
        yield servers


def listed(port: int) -> bytes:
    return json.dumps({"servers": ["127.0.0.1"], "port": port}).encode()


def settings_of(exhibitor: Told, *hosts: str) -> ZookeeperSettings:
    return ZookeeperSettings(exhibitor=ExhibitorSettings(hosts=hosts or ("127.0.0.1",), port=exhibitor.port, poll_interval_s=0.2))


def test_the_servers_are_those_of_the_list_and_a_list_that_is_lost_stays_in_force(zookeeper: ZooKeeper, exhibitor: Told) -> None:
    exhibitor.answer = listed(zookeeper.members[0].client_port)
    with opened(settings_of(exhibitor, "no-such-host.invalid", "127.0.0.1")) as session:
        lock = take(session, 30.0, Put(name="config", value="1"))
        assert set(exhibitor.paths) == {"/exhibitor/v1/cluster/list"}
        exhibitor.answer = b"no list"
        asked = len(exhibitor.paths)
        eventually(lambda: len(exhibitor.paths) > asked + 2)
        zookeeper.members[0].kill()
        zookeeper.start()
        eventually(lambda: renewed(session, lock.instance, 30.0))


def test_a_server_that_has_moved_is_followed(zookeeper: ZooKeeper, exhibitor: Told) -> None:
    target = ("127.0.0.1", zookeeper.members[0].client_port)
    with TcpProxy(target) as old, TcpProxy(target) as new:
        exhibitor.answer = listed(old.port)
        with opened(settings_of(exhibitor)) as session:
            lock = take(session, 30.0)
            exhibitor.answer = listed(new.port)
            asked = len(exhibitor.paths)
            eventually(lambda: len(exhibitor.paths) > asked + 2)
            with old.suffering(Fault(refuse=True)):
                old.cut()
                eventually(lambda: renewed(session, lock.instance, 30.0))


def test_without_any_list_there_is_no_store_and_one_that_comes_later_is_used(zookeeper: ZooKeeper, exhibitor: Told) -> None:
    with takes_at_most(3.0), pytest.raises(DcsUnavailableError, match="no list of servers"), opened(settings_of(exhibitor)):
        pass
    exhibitor.answer = listed(zookeeper.members[0].client_port)
    with opened(settings_of(exhibitor)) as session:
        written(session, Put(name="config", value="1"))
        assert answered(lambda: look(session))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"servers": "a", "port": 1}', b'{"servers": ["a"]}'])
def test_what_is_no_list_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|no list of servers"):
        read(text)


def test_a_list_names_hosts_and_one_port() -> None:
    assert read(b'{"servers": ["a", "::1"], "port": 2182}') == ("a:2182", "[::1]:2182")


def test_the_plugin_of_the_section_is_the_same_store() -> None:
    assert ExhibitorPlugin.hacore_dcs_capabilities().networked
