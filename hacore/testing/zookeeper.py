"""A real ZooKeeper of one or several servers on free loopback ports, for tests: started, stopped, frozen, killed, restored from outside.

It runs as the unprivileged user of the other servers and keeps its data and logs below one directory. It knows nothing of hacore's keys,
and speaks no more of ZooKeeper's protocol than its commands of four letters.
"""

import contextlib
import re
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hacore.testing.ports import Ports
from hacore.testing.server_process import ServerError, ServerProcess, Servers
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away

READY_S: Final = 90.0  # servers that were stopped all at once may need several elections
_ASK_S: Final = 2.0
_TICK_MS: Final = 500  # a session lasts two ticks at least, and ends at a tick
_LONGEST_MS: Final = 600_000
_SYNC_TICKS: Final = 4  # a follower that has lost its leader notices after so many
# One small heap, one thread for its garbage, no costly compilation: a server starts in a second and leaves a core to the tests.
_JVM: Final = ("-Xmx64m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto")
# No fsync: processes are lost here, no machine.
_PROPERTIES: Final = (
    "-Dzookeeper.forceSync=no",
    "-Djava.net.preferIPv4Stack=true",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)
_MAIN: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_MODE: Final = re.compile(r"^Mode: (\w+)$", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class ZooKeeperMember(ServerProcess):
    """One member: a process, its port for clients and its directory."""

    client_port: int
    environment: Mapping[str, str] = field(default_factory=dict)  # besides our own
    properties: tuple[str, ...] = ()  # of the JVM, besides those of every server

    @property
    def endpoint(self) -> str:
        """The address as the configuration has it: host and port."""
        return f"127.0.0.1:{self.client_port}"

    @property
    def data(self) -> Path:
        """Where snapshots and transaction logs are."""
        return self.directory / "data" / "version-2"

    def command(self) -> list[str]:
        """Return program and arguments."""
        server = locate("zookeeper")
        jars = ":".join(str(path) for name, path in server.programs.items() if name != "java")
        return [str(server.programs["java"]), *_JVM, *_PROPERTIES, *self.properties, "-cp", jars, _MAIN, str(self.directory / "zoo.cfg")]

    def variables(self) -> Mapping[str, str]:
        """Return variables of its environment besides our own."""
        return self.environment

    def ask(self, command: str) -> str:
        """Send a command of four letters: ``srvr``.

        :raises OSError: it did not answer.
        """
        with socket.create_connection(("127.0.0.1", self.client_port), timeout=_ASK_S) as connection:
            connection.sendall(command.encode())
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()

    def mode(self) -> str | None:
        """Return ``standalone``, ``leader`` or ``follower``; ``None`` while it serves nobody."""
        with contextlib.suppress(OSError):
            found = _MODE.search(self.ask("srvr"))
            return found.group(1) if found else None
        return None

    def serves(self) -> bool:
        """Tell whether it serves clients."""
        return self.mode() is not None


class ZooKeeper(Servers):
    """An ensemble of servers, ready when its block is entered, gone when it is left.

    :param lines: further lines of every server's configuration.
    :param properties: further properties of every server's JVM.
    :param environment: further variables of every server's environment.
    """

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 1,
        lines: Sequence[str] = (),
        properties: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.members: list[ZooKeeperMember] = []
        self._ports = Ports()
        quorum = [(self._ports.take(), self._ports.take()) for _ in range(size)]
        for index in range(size):
            place = directory / f"zookeeper{index}"
            port = self._ports.take()
            self.members.append(
                ZooKeeperMember(
                    name=place.name, directory=place, client_port=port, environment=environment or {}, properties=tuple(properties)
                )
            )
            _write(self.members[-1], index, quorum, lines)

    @property
    def endpoints(self) -> list[str]:
        """The addresses of all servers, as the configuration has them."""
        return [server.endpoint for server in self.members]

    def start(self) -> None:
        """Start every server that does not run, and wait until all serve."""
        for server in self.members:
            if server.process is None:
                server.start()
        self.wait_ready()

    def kill(self) -> None:
        """End every server at once."""
        for server in self.members:
            server.kill()

    def close(self) -> None:
        """End every server and give the ports back."""
        self.kill()
        self._ports.close()

    def wait_ready(self) -> None:
        """Wait until each running server serves."""
        deadline = time.monotonic() + READY_S
        for server in self.members:
            server.wait_ready(server.serves, until=deadline)

    def leader(self) -> ZooKeeperMember:
        """Find the server that leads now, or the only one."""
        for server in self.members:
            if server.mode() in ("leader", "standalone"):
                return server
        raise ServerError("no server says that it leads")

    def save(self) -> Path:
        """Take a copy of the store as it is now: whoever leads has all that was ever acknowledged."""
        copy = self.directory / f"copy-{time.monotonic_ns()}"
        shutil.copytree(self.leader().data, copy)
        return copy

    def restore(self, copy: Path | None) -> None:
        """Put the copy in the place of what the servers have now, as somebody repairing them would, and start them; ``None``: nothing."""
        self.kill()
        for server in self.members:
            shutil.rmtree(server.data)
            if copy is not None:
                shutil.copytree(copy, server.data)
                for path in (server.data, *server.data.rglob("*")):
                    give_away(path)
        self.start()


def _write(server: ZooKeeperMember, index: int, quorum: list[tuple[int, int]], lines: Sequence[str]) -> None:
    """Make the directory of a server with its configuration."""
    data = server.directory / "data"
    configuration = [
        f"dataDir={data}", f"clientPort={server.client_port}", "clientPortAddress=127.0.0.1", "admin.enableServer=false",
        f"tickTime={_TICK_MS}", f"initLimit={20 * _SYNC_TICKS}", f"syncLimit={_SYNC_TICKS}", f"maxSessionTimeout={_LONGEST_MS}",
        "maxClientCnxns=0", "4lw.commands.whitelist=*", *lines,
    ]  # fmt: skip
    if len(quorum) > 1:
        configuration += [f"server.{number}=127.0.0.1:{peers}:{election}" for number, (peers, election) in enumerate(quorum, 1)]
    server.directory.mkdir()
    data.mkdir()
    (server.directory / "zoo.cfg").write_text("\n".join(configuration) + "\n")
    (data / "myid").write_text(f"{index + 1}\n")
    for path in (server.directory, data, server.directory / "zoo.cfg", data / "myid"):
        give_away(path)
