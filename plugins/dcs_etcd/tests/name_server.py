"""A real name server for the tests of ``srv``: dnsmasq on a free loopback port, with the records that a test gives it."""

import contextlib
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from hacore.testing.ports import free_port
from hacore.testing.server_process import ServerProcess
from hacore.testing.servers import locate

DOMAIN = "cluster.test"
READY_S = 10.0


@dataclass(slots=True, kw_only=True)
class NameServer(ServerProcess):
    """Answers for ``DOMAIN`` alone. Used as a block; ``serve`` may be called again, with other records."""

    name: str = "dnsmasq"
    place: tuple[str, int] = field(default_factory=lambda: ("127.0.0.1", free_port()))
    records: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def serve(self, records: Iterable[tuple[str, int]]) -> None:
        """Answer with these from now on: service with protocol (``_etcd-client._tcp``), port on localhost."""
        self.kill()
        self.records = tuple(f"--srv-host={service}.{DOMAIN},localhost,{port}" for service, port in records)
        self.start()
        self.wait_ready(self._listens, until=time.monotonic() + READY_S)

    def command(self) -> list[str]:
        """Return program and arguments."""
        return [
            str(locate("dnsmasq").program("dnsmasq")), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            f"--local=/{DOMAIN}/", f"--port={self.place[1]}", f"--listen-address={self.place[0]}", "--bind-interfaces",
            "--pid-file", "--log-facility=-", *self.records,
        ]  # fmt: skip

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self.place, 1.0):
            return True
        return False
