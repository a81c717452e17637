"""A real Consul of one or several servers, and agents beside them, on free loopback ports, for tests: started, frozen, killed, restored.

It runs as the unprivileged user of the other servers and keeps its data and logs below one directory. It knows nothing of hacore's keys.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from hacore.testing.ports import Ports
from hacore.testing.server_process import ServerError, ServerProcess, Servers
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away

READY_S: Final = 40.0
_ASK_S: Final = 2.0
_PORTS: Final = ("http", "https", "dns", "server", "serf_lan")
_OFF: Final = ("grpc", "grpc_tls", "serf_wan")
_SETTINGS: Final[Mapping[str, Any]] = {
    "bind_addr": "127.0.0.1",
    "advertise_addr": "127.0.0.1",
    "client_addr": "127.0.0.1",
    "session_ttl_min": "1s",  # sessions shorter than in production, so that tests need not wait; the default is 10 s
    "performance": {"raft_multiplier": 1},  # a new leader in a second or two
    "autopilot": {"cleanup_dead_servers": False},  # a server that is frozen for a while comes back
    "connect": {"enabled": False},
    "retry_interval": "1s",
    "disable_update_check": True,
    "leave_on_terminate": False,
    "skip_leave_on_interrupt": True,
}


@dataclass(slots=True, kw_only=True)
class ConsulAgent(ServerProcess):
    """One agent, a server or not: a process, its ports and its directory."""

    ports: dict[str, int]
    settings: dict[str, Any]

    @property
    def endpoint(self) -> str:
        """The address as the configuration has it: host and port."""
        return f"127.0.0.1:{self.ports['http']}"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{self.endpoint}"

    def command(self) -> list[str]:
        """Write the configuration; return program and arguments."""
        path = self.directory / "agent.json"
        path.write_text(json.dumps(self.settings, indent=1))
        give_away(path)
        return [str(locate("consul").program("consul")), "agent", "-config-file", str(path)]


class Consul(Servers):
    """A cluster, ready when its block is entered, gone when it is left.

    :param size: number of servers.
    :param clients: number of agents that are no servers, each as the agent of a machine of its own.
    :param settings: further settings of every agent, as its configuration file has them.
    :param token: what the test itself shows to them.
    """

    def __init__(
        self, directory: Path, *, size: int = 1, clients: int = 0, settings: Mapping[str, Any] | None = None, token: str | None = None
    ) -> None:
        self.directory = directory
        self.token = token
        self._ports = Ports()
        self.servers = [self._agent(f"consul{index}") for index in range(size)]
        self.clients = [self._agent(f"machine{index}") for index in range(clients)]
        joined = [f"127.0.0.1:{server.ports['serf_lan']}" for server in self.servers]
        encrypted = "tls" in (settings or {})
        for agent in self.agents:
            agent.settings["ports"] |= {} if encrypted else {"https": -1}
            role = {"server": True, "bootstrap_expect": size} if agent in self.servers else {"server": False}
            agent.settings |= {**_SETTINGS, **role, "retry_join": joined, **(settings or {})}

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._ports.close()

    @property
    def agents(self) -> list[ConsulAgent]:
        """All of them, the servers first."""
        return [*self.servers, *self.clients]

    def start(self) -> None:
        """Start every agent that does not run, and wait until each answers."""
        for agent in self.agents:
            if agent.process is None:
                agent.start()
        self.wait_ready()

    def close(self) -> None:
        """End every agent."""
        for agent in self.agents:
            agent.kill()

    def wait_ready(self) -> None:
        """Wait until each running agent takes writes."""
        deadline = time.monotonic() + READY_S
        for agent in self.agents:
            agent.wait_ready(partial(self._is_healthy, agent), until=deadline)

    def leader(self) -> ConsulAgent:
        """Find the server that leads now."""
        for agent in self.agents:
            with contextlib.suppress(OSError, ValueError):
                place = self.ask("status/leader", agent=agent)
                return next(server for server in self.servers if place == f"127.0.0.1:{server.ports['server']}")
        raise ServerError("no server leads")

    def ask(self, path: str, body: object = None, *, method: str = "GET", agent: ConsulAgent | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send one request to an agent (the first that runs) and return what it said; ``None`` where there is no such thing."""
        asked = agent or next(one for one in self.agents if one.process is not None)
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        headers = {} if self.token is None else {"X-Consul-Token": self.token}
        request = urllib.request.Request(f"{asked.url}/v1/{path}", data, headers, method=method)  # noqa: S310 - a server of ours
        try:
            with urllib.request.urlopen(request, timeout=_ASK_S) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return json.loads(text) if text.strip() else None

    def control(self, *arguments: str) -> str:
        """Run ``consul`` against the first server and return what it printed."""
        environment = os.environ | {"CONSUL_HTTP_ADDR": self.servers[0].url} | ({"CONSUL_HTTP_TOKEN": self.token} if self.token else {})
        command = [str(locate("consul").program("consul")), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=READY_S, check=False)
        if done.returncode != 0:
            raise ServerError(f"consul {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def save(self) -> Path:
        """Take a copy of the store as it is now."""
        copy = self.directory / f"copy-{time.monotonic_ns()}.snap"
        self.control("snapshot", "save", str(copy))
        return copy

    def restore(self, copy: Path) -> None:
        """Put the copy in the place of what the servers have now, as somebody repairing the store would."""
        self.control("snapshot", "restore", str(copy))
        self.wait_ready()

    def empty(self) -> None:
        """End the servers, throw away all that they have, and start them again."""
        for server in self.servers:
            server.kill()
            shutil.rmtree(server.directory / "data")
        self.start()

    def _agent(self, name: str) -> ConsulAgent:
        place = self.directory / name
        place.mkdir()
        give_away(place)
        ports = {port: self._ports.take() for port in _PORTS}
        settings = {"node_name": name, "data_dir": str(place / "data"), "ports": {**ports, **dict.fromkeys(_OFF, -1)}}
        return ConsulAgent(name=name, directory=place, ports=ports, settings=settings)

    def _is_healthy(self, agent: ConsulAgent) -> bool:
        try:
            return self.ask("kv/health", "1", method="PUT", agent=agent) is True
        except (OSError, ValueError):
            return False
