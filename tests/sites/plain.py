"""A site brought up without containers: each service of its compose file is a host of its own, made of namespaces of this machine.

What a service sees is what it would see in a container: its own network interface, host name, volumes and environment; programs come from
this machine. Of compose it knows what our sites use; a key that it does not know is an error, so that nothing is silently left out.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

from hacore.testing.namespaces import Link
from hacore.testing.servers import locate
from hacore.testing.waiting import wait_for
from hacore.testing.walg.binary import find_walg
from hacore.testing.workdir import give_away

_KNOWN: Final = frozenset(
    {"image", "hostname", "user", "command", "environment", "volumes", "cap_add", "depends_on", "stop_grace_period", "tmpfs"}
)
_KNOWN_AT_TOP: Final = frozenset({"networks", "services", "volumes"})  # our network has the addresses that sites ask for
_COMMAND_S: Final = 300.0
_SOCKETS: Final = "/run/postgresql"  # empty whenever a machine is switched on
_FREE: Final = ("/srv", "/var/lib/postgresql", _SOCKETS)  # where volumes may be mounted: nothing of this machine is needed there
_SERVERS: Final = ("postgresql", "etcd", "consul", "haproxy", "pgbouncer", "barman", "sshd")
_GRACE_S: Final = 10.0


@dataclass(slots=True)
class Host:
    """One service that runs."""

    name: str
    service: Mapping[str, Any]
    holder: subprocess.Popen[bytes]  # keeps its namespaces
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=Path)


class PlainSite:
    """Everything that one compose file describes."""

    def __init__(self, compose: Path, directory: Path) -> None:
        content = yaml.safe_load(compose.read_text())
        self._compose, self._directory = compose, directory
        self._services: dict[str, dict[str, Any]] = content["services"]
        strange = {key for service in self._services.values() for key in service} - _KNOWN
        strange |= {key for key in content if not key.startswith("x-")} - _KNOWN_AT_TOP
        if strange:
            raise ValueError(f"{compose}: {sorted(strange)} of compose is not known here")
        self.link = Link(self._services)
        self._hosts: dict[str, Host] = {}
        self._path = _path(find_walg(directory).path.parent)

    def __enter__(self) -> Self:
        self.link.__enter__()
        try:
            hosts = "".join(f"{self.link.ipv4(name)} {name}\n" for name in self._services)
            (self._directory / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
            for name in self._services:
                self._hosts[name] = self._make_host(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        for host in self._hosts.values():
            self._kill(host)
            host.holder.kill()
            host.holder.wait()
        self.link.close()

    def address(self, name: str) -> str:
        """Return the IPv4 address of a service."""
        return self.link.ipv4(name)

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Let this thread, and those that it starts, reach the services."""
        with self.link.entered():
            yield

    def start(self, *names: str) -> None:
        """Run the commands of services, all without a name."""
        for name in names or self._services:
            host = self._hosts[name]
            with host.log.open("ab") as log:
                words = self._words(host, host.service["command"])
                host.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def kill(self, name: str) -> None:
        """Lose a machine: cut its cable first, then end all that runs on it at one instant."""
        self.link.cut(name)
        self._kill(self._hosts[name])

    def revive(self, name: str) -> None:
        """Switch a machine on again, with what its disks had."""
        self.link.mend(name)
        for left in self._own(name, _SOCKETS).iterdir():
            left.unlink()
        self.start(name)

    def execute(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the host of a service, as its user, and return what it said.

        :raises AssertionError: it failed.
        """
        host = self._hosts[name]
        done = subprocess.run(self._words(host, words), capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        assert done.returncode == 0 or not check, f"{name}: {shlex.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def log_of(self, name: str) -> str:
        """Return what a service has written."""
        return self._hosts[name].log.read_text(errors="replace")

    # --- a host --------------------------------------------------------------------------------------------------------

    def _make_host(self, name: str) -> Host:
        service = self._services[name]
        user = service.get("user", "root")
        home = self._directory / name
        home.mkdir()
        mounts = [f"mount --bind {shlex.quote(str(self._directory / 'hosts'))} /etc/hosts", "mount -t tmpfs -o mode=0755 tmpfs /srv"]
        for place in _FREE[1:]:
            own = self._own(name, place)
            own.mkdir()
            give_away(own, None if user == "root" else user)
            mounts.append(f"mount --bind {shlex.quote(str(own))} {place}")
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            assert target.startswith(_FREE), f"{volume}: want a target below {', '.join(_FREE)}"
            mounts.append(self._mount(name, source, target))
        script = "\n".join(["set -e", f"hostname {name}", *mounts, "echo ready", "exec sleep infinity"])
        words = [*self.link.launcher(name), "unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", script]
        holder = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n", f"{name}: its host could not be made"
        return Host(name=name, service=service, holder=holder, log=home / "log")

    def _own(self, name: str, place: str) -> Path:
        """Return what stands at a place of a host."""
        return self._directory / name / place.strip("/").replace("/", "-")

    def _mount(self, name: str, source: str, target: str) -> str:
        if source.startswith("."):
            path = (self._compose.parent / source).resolve()
        else:  # a named volume: one for all where several services name it
            path = self._directory / "volumes" / source
            path.mkdir(parents=True, exist_ok=True)
            user = self._services[name].get("user", "root")
            if user != "root":
                give_away(path, user)
        make = f"mkdir -p {target}" if path.is_dir() else f"mkdir -p {Path(target).parent} && touch {target}"
        return f"{make} && mount --bind {shlex.quote(str(path))} {target}"

    def _words(self, host: Host, command: str | Sequence[str]) -> list[str]:
        """Return the words that run a command on a host as compose would."""
        words = shlex.split(command) if isinstance(command, str) else list(command)
        user = host.service.get("user", "root")
        capabilities = ",".join(f"+{name.lower().removeprefix('cap_')}" for name in host.service.get("cap_add", ()))
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        if capabilities:
            drop += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
        given = {
            "PATH": self._path,
            "LANG": "C.UTF-8",
            "HOME": "/srv",
            **{key: str(value) for key, value in self._environment(host).items()},
        }
        environment = ["env", "-i", *(f"{key}={value}" for key, value in given.items())]
        enter = ["nsenter", f"--target={host.holder.pid}", "--net", "--mount", "--uts", "--wd=/"]
        return [*enter, *drop, *environment, *words]

    def _environment(self, host: Host) -> Mapping[str, object]:
        found: Mapping[str, object] = host.service.get("environment", {})
        return found

    def _pids(self, host: Host) -> list[int]:
        said = subprocess.run(
            ["ip", "netns", "pids", self.link.namespace(host.name)], capture_output=True, text=True, check=True, timeout=_GRACE_S
        )  # fmt: skip
        return [pid for pid in map(int, said.stdout.split()) if pid not in {host.holder.pid, os.getpid()}]

    def _kill(self, host: Host) -> None:
        """End all that runs on a host but what keeps its namespaces; again, until nobody has escaped by a fork."""

        def is_quiet() -> bool:
            for pid in self._pids(host):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self._pids(host)

        wait_for(is_quiet, f"{host.name}: everything has ended", deadline_s=_COMMAND_S)
        if host.process is not None:
            host.process.wait()
            host.process = None


def _path(walg: Path) -> str:
    """Return where the programs of a site stand: ours, and the real servers."""
    places = [walg, Path(sys.executable).parent, *(locate(kind).directory for kind in _SERVERS)]
    return os.pathsep.join([*dict.fromkeys(map(str, places)), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
