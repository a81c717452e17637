"""Two nodes and a client on one link: what each of the tests of this directory starts from."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from hacore.testing.capabilities import NET_ADMIN, NET_RAW, with_only
from hacore.testing.namespaces import Link
from hacore.testing.waiting import wait_for

PROGRAMS: Final = Path(__file__).parent / "programs"
CHECKOUT: Final = Path(__file__).parents[3]
VIP4, VIP6 = "10.77.0.100", "fd77::100"
PORT: Final = 5432
BOTH: Final = (NET_ADMIN, NET_RAW)
ANSWER_S: Final = 60.0  # of a process that is just being started, on a busy machine
ENVIRONMENT: Final = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


@dataclass(slots=True)
class Node:
    """An unprivileged process on a host that runs the plugin."""

    process: subprocess.Popen[str]

    def do(self, what: str, **arguments: object) -> tuple[str, Any]:
        """Give one command; answers the kind of the answer and what is in it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], ANSWER_S)[0], f"no answer to {what}"
        kind, found = json.loads(self.process.stdout.readline())
        return str(kind), found

    def leads(self, valid_s: float, *, token: int = 1, revision: int = 1) -> tuple[str, Any]:
        return self.do("route", leads=True, valid_s=valid_s, token=token, revision=revision)

    def holds_the_lease(self, valid_s: float, *, token: int = 1, revision: int = 1) -> tuple[str, Any]:
        """It takes no writes."""
        return self.do("route", leads=False, valid_s=valid_s, token=token, revision=revision)

    def follows(self, *, token: int = 1, revision: int = 1) -> tuple[str, Any]:
        return self.do("route", leads=False, valid_s=None, token=token, revision=revision)

    def metrics(self) -> dict[tuple[str, str | None], float]:
        _, found = self.do("metrics")
        return {(name, labels.get("address")): value for name, labels, value in found}

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        """End it in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(ANSWER_S)


@dataclass(slots=True)
class Lab:
    link: Link
    place: Path
    stack: contextlib.ExitStack

    def node(self, host: str, *, capabilities: tuple[int, ...] = BOTH, **section: object) -> Node:
        """Start a node with this section over the usual one."""
        words = [*self.link.launcher(host), *with_only(capabilities), sys.executable, str(PROGRAMS / "node.py"), host]
        process = self.stack.enter_context(
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd="/")
        )
        self.stack.callback(process.kill)
        assert process.stdin is not None
        usual: dict[str, object] = {"interface": "eth0", "addresses": [f"{VIP4}/24", VIP6]}
        process.stdin.write(json.dumps({**usual, **section}) + "\n")
        process.stdin.flush()
        return Node(process)

    def heard(self, address: str) -> str | None:
        """Which node answers the client at an address."""
        return ask(self.place, address)

    def leads_to(self, host: str, *addresses: str, within_s: float = 10.0) -> None:
        """Wait until the client that connects there is answered by this node."""
        for address in addresses or (VIP4, VIP6):
            wait_for(partial(self._is_answered, address, host), f"{address} leads to {host}", deadline_s=within_s)

    def is_known_at(self, host: str, *addresses: str, within_s: float = 10.0) -> None:
        """Wait until the client believes that the addresses are there. It is not made to ask."""
        for address in addresses or (VIP4, VIP6):
            wait_for(partial(self._is_known, address, host), f"{address} is known to be at {host}", deadline_s=within_s)

    def _is_answered(self, address: str, host: str) -> bool:
        return self.heard(address) == host

    def _is_known(self, address: str, host: str) -> bool:
        return self.link.neighbour("client", address) == self.link.mac(host)

    def has(self, host: str, *addresses: str) -> bool:
        """Whether the host has all of these addresses."""
        return set(addresses or (VIP4, VIP6)) <= set(self.link.addresses(host))

    def run(self, host: str, words: list[str], *, capabilities: tuple[int, ...] = BOTH, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as an unprivileged user on a host."""
        command = [*self.link.launcher(host), *with_only(capabilities), *words]
        return subprocess.run(command, capture_output=True, text=True, env={**ENVIRONMENT, **more}, cwd=CHECKOUT, check=False, timeout=100)


def ask(place: Path, address: str) -> str | None:
    """Have the client connect; needs no rights."""
    with socket.socket(socket.AF_UNIX) as asker:
        asker.settimeout(ANSWER_S)
        asker.connect(str(place / "client.sock"))
        asker.sendall(f"{address} {PORT}".encode())
        return asker.recv(100).decode() or None


@contextlib.contextmanager
def lab(place: Path) -> Iterator[Lab]:
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(Link(["a", "b", "client"]))
        programs: Mapping[str, list[str]] = {
            "a": ["answer.py", "a", str(PORT)],
            "b": ["answer.py", "b", str(PORT)],
            "client": ["client.py", str(place / "client.sock")],
        }
        for host, (program, *arguments) in programs.items():
            words = [*link.launcher(host), *with_only(()), sys.executable, str(PROGRAMS / program), *arguments]
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd="/"))
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "listens\n"
        yield Lab(link, place, stack)
