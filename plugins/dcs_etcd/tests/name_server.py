"""A real name server for the tests of ``srv``: dnsmasq on a free loopback port, with the records that a test gives it."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from hacore.testing.servers import locate
from hacore.testing.workdir import server_user

DOMAIN = "cluster.test"
READY_S = 10.0


class NameServer:
    """Answers for ``DOMAIN`` alone. Used as a block; ``serve`` may be called again, with other records."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.place = ("127.0.0.1", free_port())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def serve(self, records: Iterable[tuple[str, int]]) -> None:
        """Answer with these from now on: service with protocol (``_etcd-client._tcp``), port on localhost."""
        self.stop()
        known = [f"--srv-host={service}.{DOMAIN},localhost,{port}" for service, port in records]
        user = server_user()
        with (self._directory / "dnsmasq.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(locate("dnsmasq").program("dnsmasq")), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                    f"--local=/{DOMAIN}/", f"--port={self.place[1]}", f"--listen-address={self.place[0]}", "--bind-interfaces",
                    "--pid-file", "--log-facility=-", *known,
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user, group=user, cwd=self._directory,
            )  # fmt: skip
        deadline = time.monotonic() + READY_S
        while not self._listens():
            assert self._process.poll() is None, f"dnsmasq has ended, see {self._directory}/dnsmasq.log"
            assert time.monotonic() < deadline, f"dnsmasq does not listen, see {self._directory}/dnsmasq.log"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self.place, 1.0):
            return True
        return False


def free_port() -> int:
    """A port that nobody uses, for datagrams and connections."""
    with socket.socket() as held, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        datagrams.bind(("127.0.0.1", port))
        return port
