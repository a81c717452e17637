"""Clusters on etcd whose nodes are run by hacore or by Patroni, each node by either, in turn: for the move and for measuring side by side.

One configuration file per node, in the format that both read. Everything is asked for from outside: REST, the store's keys, SQL. It knows
nothing of what goes on inside of either product, and imports no test framework.
"""

import base64
import contextlib
import enum
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import psutil
import yaml

from hacore.testing import waiting
from hacore.testing.etcd import Etcd
from hacore.testing.history import Session
from hacore.testing.ports import free_port
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away, server_user

_ASK_S: Final = 5.0
_COMMAND_S: Final = 90.0
_STOP_S: Final = 30.0
SUPERUSER_PASSWORD: Final = "secret"  # noqa: S105 - of servers on loopback that live for a test


class Product(enum.Enum):
    """Whose agent runs a node."""

    HACORE = "hacore"
    PATRONI = "patroni"

    def command(self, config: Path) -> list[str]:
        """How its agent is started."""
        if self is Product.HACORE:
            return [sys.executable, "-m", "hacore.daemon", str(config)]
        return [str(locate("patroni").program("patroni")), str(config)]


@dataclass(slots=True, kw_only=True)
class MixedNode:
    """One member: a configuration file, a data directory, and at most one agent."""

    name: str
    directory: Path
    store: Mapping[str, Any]  # section of the configuration
    scope: str
    dynamic: Mapping[str, Any]
    pg_port: int = field(default_factory=free_port)
    rest_port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)  # of its agent, besides our own
    local: Mapping[str, Any] = field(default_factory=dict)  # further sections of its configuration file
    product: Product | None = None
    agent: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / f"{self.name}.yml"

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.directory / self.name

    @property
    def log(self) -> Path:
        """What agents of either product wrote."""
        return self.directory / f"{self.name}.log"

    @property
    def dsn(self) -> str:
        """A connection string of the superuser."""
        return f"host=127.0.0.1 port={self.pg_port} user=postgres password={SUPERUSER_PASSWORD} dbname=postgres"

    @property
    def postmaster(self) -> int | None:
        """The pid of the running postmaster."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def settings(self) -> dict[str, Any]:
        """What stands in the configuration file."""
        place = f"127.0.0.1:{self.rest_port}"
        database = f"127.0.0.1:{self.pg_port}"
        return {
            "scope": self.scope,
            "name": self.name,
            **self.store,
            **self.local,
            "restapi": {"listen": place, "connect_address": place},
            "bootstrap": {"dcs": dict(self.dynamic), "initdb": ["data-checksums", {"auth-local": "trust"}, {"auth-host": "scram-sha-256"}]},
            "postgresql": {
                "listen": database,
                "connect_address": database,
                "data_dir": str(self.data_dir),
                "bin_dir": str(locate("postgresql").directory),
                "pgpass": str(self.directory / f"{self.name}.pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": SUPERUSER_PASSWORD},
                    "replication": {"username": "replicator", "password": "rep"},
                },
                "parameters": {"unix_socket_directories": str(self.directory)},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
            },
        }

    def write(self) -> None:
        """Write the configuration file."""
        self.config.write_text(yaml.safe_dump(self.settings(), sort_keys=False))
        give_away(self.config)

    def start(self, product: Product) -> None:
        """Start an agent; it need not be there yet."""
        self.write()
        user = server_user()
        self.product = product
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                product.command(self.config), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                user=user, group=user, cwd=self.directory, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip

    def stop(self) -> None:
        """End the agent in order and wait until it has gone."""
        if self.agent is not None:
            self.agent.terminate()
            self.agent.wait(_STOP_S)
            self.agent = None

    def processes(self) -> list[psutil.Process]:
        """Return every process of the node: the agent's, the guard, PostgreSQL's."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid not in found and self._is_ours(process.cmdline()):
                    found[process.pid] = process
                    found.update({child.pid: child for child in process.children(recursive=True)})
        return list(found.values())

    def _is_ours(self, arguments: Iterable[str]) -> bool:
        wanted = {str(self.config), str(self.data_dir)}
        return any(word in wanted for word in arguments)

    def kill_everything(self) -> None:
        """End every process of the node at one instant, as a loss of its machine would."""
        doomed = self.processes()
        for process in doomed:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        if self.agent is not None:
            self.agent.wait(_STOP_S)
            self.agent = None
        psutil.wait_procs(doomed, timeout=_STOP_S)

    def ask(self, method: str, path: str, body: object = None, *, timeout_s: float = _ASK_S) -> tuple[int, str]:
        """Ask the REST API once; answers the status and the text.

        :raises OSError: nobody answered.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"{self.name}: no answer of HTTP: {error!r}") from error
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """The document of `/patroni`; empty while nobody answers."""
        try:
            found = json.loads(self.ask("GET", "/patroni")[1])
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_up(self, path: str) -> bool:
        """Whether a health check answers 200."""
        try:
            return self.ask("GET", path)[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement here."""
        session = Session(self.dsn)
        try:
            return session.query(sql, deadline_s=_ASK_S)
        finally:
            session.close()


class MixedStore(Protocol):
    """A store that somebody else has started, for a cluster on another one than etcd."""

    @property
    def section(self) -> Mapping[str, Any]:
        """What stands in the configuration of a node."""

    def records(self, scope: str) -> dict[str, str]:
        """Every record of a cluster, by its name; the lock as ``leader``."""


class MixedCluster:
    """Nodes of either product and, where no store is given, an etcd of one member. Used as a block: at its end everything is gone."""

    def __init__(
        self,
        directory: Path,
        names: Iterable[str],
        *,
        dynamic: Mapping[str, Any],
        scope: str = "mixed",
        store: MixedStore | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.scope = scope
        self._etcd = Etcd(directory) if store is None else None
        self._store = store
        self._names = tuple(names)
        self._dynamic = dict(dynamic)
        self._environment = dict(environment or {})
        self.nodes: dict[str, MixedNode] = {}

    def __enter__(self) -> Self:
        if self._etcd is not None:
            self._etcd.__enter__()
        for name in self._names:
            self.add(name)
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.kill_everything()
        if self._etcd is not None:
            self._etcd.close()

    @property
    def etcd(self) -> Etcd:
        """Its own store."""
        assert self._etcd is not None
        return self._etcd

    def __getitem__(self, name: str) -> MixedNode:
        return self.nodes[name]

    def add(self, name: str) -> MixedNode:
        """Make a further node."""
        section = {"etcd3": {"host": self.etcd.endpoints[0]}} if self._store is None else self._store.section
        self.nodes[name] = MixedNode(
            name=name, directory=self.directory, store=section, scope=self.scope, dynamic=self._dynamic, environment=self._environment
        )
        return self.nodes[name]

    def start(self, products: Mapping[str, Product], *, timeout_s: float = 60.0) -> None:
        """Start agents, the first one alone until it leads, then the others until they stream."""
        names = list(products)
        self[names[0]].start(products[names[0]])
        wait_for(lambda: self[names[0]].is_up("/primary"), f"{names[0]} leads", timeout_s)
        for name in names[1:]:
            self[name].start(products[name])
        self.wait_whole(names, timeout_s=timeout_s)

    def wait_whole(self, names: Iterable[str] | None = None, *, timeout_s: float = 60.0) -> None:
        """Wait until one node leads and all others stream from it on its timeline."""
        wanted = sorted(self.nodes if names is None else names)
        wait_for(lambda: self._is_whole(wanted), f"a whole cluster of {', '.join(wanted)}", timeout_s, pause_s=waiting.SETTLING_S)

    def _is_whole(self, wanted: list[str]) -> bool:
        members = {member["name"]: member for member in self.members()}
        leaders = [member for member in members.values() if member["role"] == "leader" and member["state"] == "running"]
        if sorted(members) != wanted or len(leaders) != 1 or not self[leaders[0]["name"]].is_up("/primary"):
            return False
        timeline = leaders[0].get("timeline")
        return all(
            member["state"] == "streaming" and member.get("timeline") == timeline for member in members.values() if member not in leaders
        )

    def members(self) -> list[dict[str, Any]]:
        """What `/cluster` of the first node that answers says."""
        for node in self.nodes.values():
            with contextlib.suppress(OSError, ValueError):
                status, text = node.ask("GET", "/cluster")
                if status == http.HTTPStatus.OK:
                    return list(json.loads(text)["members"])
        return []

    def leader(self) -> str | None:
        """The name in the leader key."""
        return self.keys().get("leader")

    def keys(self) -> dict[str, str]:
        """Every key of the cluster, without its prefix."""
        if self._store is not None:
            return self._store.records(self.scope)
        prefix = f"/service/{self.scope}/"
        span = {"key": _base64(prefix), "range_end": _base64(prefix[:-1] + chr(ord("/") + 1))}
        found = self.etcd.ask(self.etcd.members[0], "kv/range", span).get("kvs", [])
        pairs = ((base64.b64decode(one["key"]).decode(), base64.b64decode(one.get("value", "")).decode()) for one in found)
        return {key.removeprefix(prefix): value for key, value in pairs}

    def patronictl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run Patroni's own command line, unmodified, with the first node's configuration; answers what it printed.

        :raises AssertionError: it failed.
        """
        config = next(iter(self.nodes.values())).config
        command = [str(locate("patroni").program("patronictl")), "-c", str(config), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_COMMAND_S, check=False, cwd=self.directory)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def switchover(self, leader: str, candidate: str, *, via: str | None = None) -> str:
        """Ask for a switchover by REST and wait for its answer."""
        status, text = self[via or leader].ask("POST", "/switchover", {"leader": leader, "candidate": candidate}, timeout_s=60.0)
        assert status == http.HTTPStatus.OK, f"switchover from {leader} to {candidate}: {status} {text}"
        return text


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 30.0, *, pause_s: float = waiting.PAUSE_S) -> None:
    """Wait for a condition.

    :raises TimeoutError: it did not come true in time.
    """
    waiting.wait_for(condition, what, deadline_s=timeout_s, pause_s=pause_s)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
