"""The REST process, started for real: its shared memory is written by the test, its agent's socket answered by a scripted loop."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hacore.control.answers import answerer
from hacore.control.context import Context
from hacore.control.server import ControlServer
from hacore.daemon.node import create_snapshot
from hacore.publish.picture import Picture
from hacore.publish.snapshot import SnapshotWriter
from hacore.testing.ports import free_port
from tests.unit.api.samples import PRIMARY

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20.0


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_until(condition: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, byte for byte, and its parts."""

    raw: bytes
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        status = int(line.split(" ")[1]) if line.startswith("HTTP/") else 0
        return cls(raw=raw, status=status, headers=headers, body=body)

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Rest:
    """One REST process."""

    def __init__(self, directory: Path, **restapi: object) -> None:
        self.directory = directory
        self.port = free_port()
        self.fd = create_snapshot()
        self.writer = SnapshotWriter(self.fd)
        self.config = directory / "hacore.yml"
        self.restapi: dict[str, object] = dict(restapi)
        self.postgresql: dict[str, object] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.agent: ControlServer | None = None
        self.context: ssl.SSLContext | None = None
        self.log = directory / "rest.err"

    def write_config(self, **restapi: object) -> None:
        address = f"127.0.0.1:{self.port}"
        section = {"listen": address, "connect_address": address, **self.restapi, **restapi}
        postgresql = {
            "listen": "127.0.0.1:1",
            "connect_address": "127.0.0.1:1",
            "data_dir": str(self.directory / "data"),
            "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
            **self.postgresql,
        }
        found = {
            "name": "a",
            "scope": "demo",
            "restapi": section,
            "sqlite": {"path": str(self.directory / "x.db")},
            "postgresql": postgresql,
        }
        self.config.write_text(json.dumps(found))  # JSON is YAML

    def start(self) -> None:
        self.write_config()
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PATRONI_", "HACORE_"))}
        environ |= {"HACORE_SNAPSHOT_FD": str(self.fd), "HACORE_STATE_DIR": str(self.directory)}
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "hacore.api", str(self.config)]
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environ, pass_fds=[self.fd], stderr=log)
        wait_until(self.is_listening)

    def is_listening(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5.0).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self.agent is not None:
            self.agent.close()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(10.0) == 0
            finally:
                self.process.kill()
                self.process.wait()
        os.close(self.fd)

    def show(self, picture: Picture = PRIMARY, *, lease_s: float | None = None, age_s: float = 0.0) -> None:
        moment = now()
        self.writer.write(picture, written_at=moment - age_s, lease_fence_at=None if lease_s is None else moment + lease_s)

    def serve_agent(self, context: Context) -> None:
        self.agent = ControlServer(self.directory / "agent.sock", answerer(context))
        self.agent.start()

    def reload(self, **restapi: object) -> None:
        self.write_config(**restapi)
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def logged(self, text: str) -> bool:
        return text in self.log.read_text()

    def connect(self, *, timeout_s: float = PATIENCE_S) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        return plain if self.context is None else self.context.wrap_socket(plain, server_hostname="localhost")

    def send(self, data: bytes, *, timeout_s: float = PATIENCE_S) -> Answer:
        """Send bytes and read until the server closes."""
        with self.connect(timeout_s=timeout_s) as client:
            client.sendall(data)
            chunks = []
            while chunk := client.recv(65536):
                chunks.append(chunk)
        return Answer.of(b"".join(chunks))

    def get(self, path: str, *, timeout_s: float = PATIENCE_S) -> Answer:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), timeout_s=timeout_s)

    def ask(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Host": "x", **(headers or {})}
        if body is not None:
            named.setdefault("Content-Length", str(len(data)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + data)
