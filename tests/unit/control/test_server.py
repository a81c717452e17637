import json
import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hacore.control.server import ControlServer
from hacore.control.wire import ControlError, Reply, ask


def echo(request: Mapping[str, Any]) -> Reply:
    return Reply(status=200, document=json.dumps(request), headers={"lsn": "5"})


@pytest.fixture(params=["short", "long"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path if request.param == "short" else tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "agent.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    made = ControlServer(path, echo)
    made.start()
    yield made
    made.close()


def test_a_request_gets_its_answer_whatever_the_length_of_the_path(server: ControlServer, path: Path) -> None:
    reply = ask(path, {"op": "x", "body": {"text": "ä" * 100_000}}, timeout_s=5.0)
    assert reply.status == 200
    assert json.loads(reply.document or "") == {"op": "x", "body": {"text": "ä" * 100_000}}
    assert reply.headers == {"lsn": "5"}


def test_only_our_user_can_reach_the_socket(server: ControlServer, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_socket_of_a_killed_agent_is_replaced(server: ControlServer, path: Path) -> None:
    second = ControlServer(path, lambda _: Reply(status=200, text="second"))
    second.start()
    assert ask(path, {"op": "x"}, timeout_s=5.0).text == "second"
    second.close()


def test_without_an_agent_the_question_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(ControlError):
        ask(tmp_path / "agent.sock", {"op": "x"}, timeout_s=5.0)


def test_an_agent_that_does_not_answer_is_not_waited_for(path: Path) -> None:
    never = threading.Event()
    server = ControlServer(path, lambda _: Reply(status=200) if never.wait(5.0) else Reply(status=500))
    server.start()
    with pytest.raises(ControlError):
        ask(path, {"op": "x"}, timeout_s=0.2)
    never.set()
    server.close()


@pytest.mark.parametrize("sent", [b"nonsense\n", b"[1]\n", b"[" * 100_000 + b"\n", b"\xff\n", b""])
def test_what_is_no_request_is_refused(server: ControlServer, path: Path, sent: bytes) -> None:
    directory = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/proc/self/fd/{directory}/{path.name}")
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert json.loads(client.makefile().readline())["status"] == 400
    os.close(directory)


def test_a_command_that_breaks_closes_its_connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    server = ControlServer(path, lambda _: Reply(no=1))  # type: ignore[call-arg]
    server.start()
    with pytest.raises(ControlError):
        ask(path, {"op": "x"}, timeout_s=5.0)
    server.close()
