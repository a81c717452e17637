"""A real etcd of one or several members on free loopback ports, for tests: started, stopped, frozen, killed, restored from outside.

It runs as the unprivileged user of the other servers and keeps its data and logs below one directory. It knows nothing of hacore's keys.
"""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from hacore.testing.ports import Ports
from hacore.testing.server_process import ServerError, ServerProcess, Servers
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away

Answer = dict[str, Any]  # JSON, as the gateway sent it
READY_S: Final = 30.0
_ASK_S: Final = 2.0
_PAUSE_S: Final = 0.5
_TIMING: Final = ("--heartbeat-interval", "100", "--election-timeout", "500")  # a new leader in a second; the shortest lease lasts one


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of one side of encrypted connections."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(slots=True, kw_only=True)
class EtcdMember(ServerProcess):
    """One member: a process, its ports and its directory."""

    client_port: int
    peer_port: int
    arguments: tuple[str, ...] = ()  # everything but what follows from the fields above
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"{self.scheme}://127.0.0.1:{self.client_port}"

    @property
    def endpoint(self) -> str:
        """The address as the configuration has it: host and port."""
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """The address for the other members."""
        return f"http://127.0.0.1:{self.peer_port}"

    def command(self) -> list[str]:
        """Return program and arguments."""
        command = [str(locate("etcd").program("etcd")), "--name", self.name, "--data-dir", str(self.directory / "data")]
        command += ["--listen-client-urls", self.url, "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url]
        return [*command, *self.arguments]


class Etcd(Servers):
    """A cluster of members, ready when its block is entered, gone when it is left.

    :param tls: the servers' certificate; clients must show one that the same authority has signed, and we show the servers' own.
    :param advertise: maps a member's index and own address to the address that it tells clients (a proxy's, for instance).
    :param arguments: further arguments of every member.
    """

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 1,
        tls: Tls | None = None,
        arguments: Sequence[str] = (),
        advertise: Callable[[int, str], str] = lambda _, url: url,
    ) -> None:
        self.directory = directory
        self._common = (*_TIMING, *_of_server(tls), *arguments)
        self.user: str | None = None  # NAME:PASSWORD of who controls it, once it asks
        self._tls = tls
        self.members: list[EtcdMember] = []
        self._ports = Ports()  # while a member is down, too
        for index in range(size):
            self.members.append(self._member(index))
        self.initial = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for index, member in enumerate(self.members):
            shown = advertise(index, member.url)
            member.arguments = ("--initial-cluster", self.initial, "--advertise-client-urls", shown, *self._common)

    @property
    def endpoints(self) -> list[str]:
        """The addresses of all members, as the configuration has them."""
        return [member.endpoint for member in self.members]

    def start(self) -> None:
        """Start every member that does not run, and wait until the cluster answers."""
        for member in self.members:
            if member.process is None:
                member.start()
        self.wait_ready()

    def stop(self) -> None:
        """Kill every member."""
        for member in self.members:
            member.kill()

    def close(self) -> None:
        """End everything."""
        self.stop()
        self._ports.close()

    def wait_ready(self) -> None:
        """Wait until each running member serves writes."""
        deadline = time.monotonic() + READY_S
        for member in self.members:
            member.wait_ready(partial(self._is_healthy, member), until=deadline)

    def leader(self) -> EtcdMember:
        """Find the member that leads now."""
        for member in self.members:
            with contextlib.suppress(OSError, KeyError, ServerError):
                status = self.ask(member, "maintenance/status", {})
                if status["leader"] == status["header"]["member_id"]:
                    return member
        raise ServerError("no member says that it leads")

    def ask(self, member: EtcdMember, path: str, body: object) -> Answer:
        """Send one request to the gateway of a member: ``kv/range``."""
        request = urllib.request.Request(f"{member.url}/v3/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
        return cast("Answer", json.loads(self._open(request)))

    def control(self, *arguments: str) -> str:
        """Run ``etcdctl`` against the first member and return what it printed."""
        environment = os.environ | {"ETCDCTL_API": "3"}
        command = [str(locate("etcd").program("etcdctl")), "--endpoints", self.members[0].url, *_of_client(self._tls)]
        command += [*(("--user", self.user) if self.user else ()), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=READY_S, check=False)
        if done.returncode != 0:
            raise ServerError(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def add(self) -> EtcdMember:
        """Take in a new member, at an address of its own."""
        number = 1 + max(int(member.name.removeprefix("etcd")) for member in self.members)
        new = self._member(number)
        _patiently(lambda: self.control("member", "add", new.name, f"--peer-urls={new.peer_url}"))
        self.initial = ",".join(f"{member.name}={member.peer_url}" for member in [*self.members, new])
        new.arguments = (
            "--initial-cluster",
            self.initial,
            "--initial-cluster-state",
            "existing",
            "--advertise-client-urls",
            new.url,
            *self._common,
        )
        new.start()
        self.members.append(new)
        self.wait_ready()
        return new

    def remove(self, member: EtcdMember) -> None:
        """Let a member go for good."""
        found = self.ask(member, "cluster/member/list", {})["members"]
        identity = next(int(one["ID"]) for one in found if one["name"] == member.name)
        self.members.remove(member)
        _patiently(lambda: self.control("member", "remove", f"{identity:x}"))
        member.kill()
        self.wait_ready()

    def save(self) -> Path:
        """Take a copy of the store as it is now."""
        copy = self.directory / f"copy-{time.monotonic_ns()}.db"
        self.control("snapshot", "save", str(copy))
        return copy

    def restore(self, copy: Path) -> None:
        """Put the copy in the place of what the members have now, as somebody repairing the store would, and start them."""
        self.stop()
        for member in self.members:
            data = member.directory / "data"
            shutil.rmtree(data)
            wanted = ("--name", member.name, "--initial-cluster", self.initial, "--initial-advertise-peer-urls", member.peer_url)
            self.control("snapshot", "restore", str(copy), "--data-dir", str(data), *wanted)
            for path in (data, *data.rglob("*")):
                give_away(path)
        self.start()

    def metrics(self, member: EtcdMember) -> str:
        """Read what a member counts."""
        return self._open(f"{member.url}/metrics").decode()

    def _member(self, number: int) -> EtcdMember:
        name, scheme = f"etcd{number}", "http" if self._tls is None else "https"
        place = self.directory / name
        place.mkdir()
        give_away(place)
        return EtcdMember(name=name, directory=place, client_port=self._ports.take(), peer_port=self._ports.take(), scheme=scheme)

    def _is_healthy(self, member: EtcdMember) -> bool:
        try:
            answer = json.loads(self._open(f"{member.url}/health"))  # needs a leader, and no user
        except (OSError, ValueError):
            return False
        return bool(answer.get("health") == "true")

    def _open(self, request: urllib.request.Request | str) -> bytes:
        context = None
        if self._tls is not None:
            context = ssl.create_default_context(cafile=self._tls.ca)
            context.load_cert_chain(self._tls.certificate, self._tls.key)
        with urllib.request.urlopen(request, timeout=_ASK_S, context=context) as answer:  # noqa: S310 - an address of ours
            return bytes(answer.read())


def _patiently(change: Callable[[], object]) -> None:
    """Change the members: refused until all have known each other for five seconds."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            change()
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _of_server(tls: Tls | None) -> tuple[str, ...]:
    if tls is None:
        return ()
    files = ("--cert-file", str(tls.certificate), "--key-file", str(tls.key), "--trusted-ca-file", str(tls.ca))
    return (*files, "--client-cert-auth")


def _of_client(tls: Tls | None) -> tuple[str, ...]:
    return () if tls is None else ("--cacert", str(tls.ca), "--cert", str(tls.certificate), "--key", str(tls.key))
