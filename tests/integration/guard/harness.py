"""Guards, main processes and PostgreSQL servers on this machine for the tests of this directory, and looks at them from outside."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hacore.guard.client import GuardClient
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.guard.launch import guard_argv
from hacore.guard.processes import Territory, parent_of
from hacore.guard.values import StartServer
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user

PROGRAMS = Path(__file__).parent / "programs"
T = TypeVar("T")
TTL_S, MARGIN_S, BUDGET_S = 5.0, 1.0, 1.0


def until(condition: Callable[[], T | None], *, within_s: float = 15.0) -> T:
    """What the condition answers, as soon as that is true."""
    ends = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < ends, f"not within {within_s} s: {condition}"
        time.sleep(0.01)
    return answer


def as_user() -> dict[str, Any]:
    """The arguments of subprocess that start a server as a user whom PostgreSQL accepts."""
    user = server_user()
    return {} if user is None else {"user": user, "group": user}


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C", "PYTHONPATH": str(Path(__file__).parents[3])}


def now_s() -> float:
    return boot_ns() / NS_PER_S


def is_alive(pid: int) -> bool:
    return parent_of(pid) is not None


@dataclass(kw_only=True)
class Site:
    """One data directory, its state directory, and whatever a test starts for it."""

    place: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.place / "data"

    @property
    def state_dir(self) -> Path:
        return self.place / "state"

    @property
    def dsn(self) -> str:
        return f"host={self.place} user=postgres dbname=postgres"

    @property
    def argv(self) -> tuple[str, ...]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.place),
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return (str(locate("postgresql").program("postgres")), "-D", str(self.data_dir), *options)

    def run(self, argv: list[str], log: str, **variables: str) -> subprocess.Popen[bytes]:
        with (self.place / log).open("ab") as output:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                argv,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env={**environment(), **variables},
                cwd="/",
                start_new_session=True,
                **as_user(),
            )
        self.started.append(process)
        return process

    def run_guard(self) -> subprocess.Popen[bytes]:
        return self.run(guard_argv(str(self.state_dir), str(self.data_dir)), "guard.log")

    def main_argv(self) -> list[str]:
        plan = {"data_dir": str(self.data_dir), "argv": self.argv, "ttl_s": TTL_S, "margin_s": MARGIN_S, "budget_s": BUDGET_S}
        (self.place / "plan.json").write_text(json.dumps(plan))
        return [sys.executable, str(PROGRAMS / "main.py"), str(self.place / "plan.json")]

    def run_main(self, **variables: str) -> subprocess.Popen[bytes]:
        return self.run(self.main_argv(), "main.log", **variables)

    def connect(self) -> GuardClient:
        return GuardClient.connect(str(self.state_dir), 5.0)

    def attach(self) -> GuardClient:
        client = self.connect()
        client.attach()
        return client

    def server(self, token: int | None = None, *, standby: bool = False) -> StartServer:
        log = str(self.place / "postgres.log")
        return StartServer(argv=self.argv, env=environment(), cwd=str(self.data_dir), log_path=log, token=token, standby=standby)

    def server_processes(self) -> list[int]:
        return Territory(str(self.data_dir)).inhabitants()

    def numbers(self, name: str) -> list[int]:
        """The lines of a file that a stand-in appends a number to."""
        path = self.place / name
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def end_of_lease_s(self, *, before_s: float | None = None) -> float:
        """F of the renewal that the store saw last (before an instant)."""
        seen = [sent / NS_PER_S for sent in self.numbers("renewals")]
        return max(sent for sent in seen if before_s is None or sent < before_s) + TTL_S - MARGIN_S

    def touch(self, name: str) -> None:
        (self.place / name).touch()

    def clear(self) -> None:
        """End what the test has started: first what would start something again."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError, AssertionError):
            until(lambda: self.end_remains() == 0)

    def end_remains(self) -> int:
        """Processes of ours whose command line names this place, and PostgreSQL of this data directory."""
        found = [*self.server_processes(), *self.ours()]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def ours(self) -> list[int]:
        """Guard, main, agent and REST server of this site."""
        return [
            pid
            for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
            if pid != os.getpid() and is_alive(pid) and self._is_named_by(pid)
        ]

    def _is_named_by(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        place = str(self.place).encode()
        return words[0].endswith(b"python") and any(word.startswith(place) for word in words)


@contextlib.contextmanager
def site(template: Path, scratch: Path) -> Iterator[Site]:
    """A site with a copy of a fresh data directory."""
    shutil.copytree(template, scratch / "data", symlinks=True)
    user = server_user()
    if user is not None:
        subprocess.run(["chown", "-R", f"{user}:{user}", str(scratch)], check=True)
    found = Site(place=scratch)
    try:
        yield found
    finally:
        found.clear()
