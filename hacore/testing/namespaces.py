"""Hosts in network namespaces on one bridge, for tests of what happens on a link: addresses that move, cables that are cut.

    with Link(["a", "b", "client"]) as link:
        subprocess.run([*link.launcher("a"), "ip", "addr"])

Needs root. Each host has ``eth0`` with an IPv4 and an IPv6 address, forwards nothing, and is gone at the end with what runs in it.
"""

import contextlib
import ctypes
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self

from hacore.testing.waiting import wait_for

_COMMAND_S: Final = 20.0
_CLONE_NEWNET: Final = 0x40000000
_NUMBERS: Final = itertools.count(1)
_BRIDGE: Final = "switch"
_PER_HOST: Final = {
    "net.ipv4.ip_forward": 0,  # a host that forwards hides that a neighbour still asks the wrong one
    "net.ipv6.conf.all.forwarding": 0,
    "net.ipv6.conf.all.keep_addr_on_down": 1,
}


class Link:
    """One layer-2 network and its hosts."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._prefix = f"hc{os.getpid()}x{next(_NUMBERS)}"
        self.hosts = {name: number for number, name in enumerate(hosts, start=1)}

    def __enter__(self) -> Self:
        try:
            self._make_host(_BRIDGE)
            self.ip(_BRIDGE, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
            self.ip(_BRIDGE, "link", "set", "br0", "up")
            self.ip(_BRIDGE, "addr", "add", "10.77.0.254/24", "dev", "br0")
            self.ip(_BRIDGE, "addr", "add", "fd77::fe/64", "dev", "br0", "nodad")
            for name in self.hosts:
                self._make_host(name)
                self._connect(name)
            for name in self.hosts:
                self._wait_until_ready(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill what runs in the namespaces, and remove them."""
        for name in (*self.hosts, _BRIDGE):
            if not Path("/run/netns", self.namespace(name)).exists():
                continue
            for pid in _run("ip", "netns", "pids", self.namespace(name)).split():
                with contextlib.suppress(ProcessLookupError):
                    if int(pid) != os.getpid():
                        os.kill(int(pid), signal.SIGKILL)
            _run("ip", "netns", "delete", self.namespace(name))

    def namespace(self, host: str) -> str:
        """The name of the host's namespace."""
        return f"{self._prefix}-{host}"

    def launcher(self, host: str) -> tuple[str, ...]:
        """Words before a command that is to run on the host."""
        return ("ip", "netns", "exec", self.namespace(host))

    def ipv4(self, host: str) -> str:
        """The host's own address."""
        return f"10.77.0.{self.hosts[host]}"

    def ipv6(self, host: str) -> str:
        """The same of IPv6."""
        return f"fd77::{self.hosts[host]:x}"

    def mac(self, host: str, interface: str = "eth0") -> str:
        """The hardware address of an interface of the host."""
        return str(_shown(self.namespace(host), "link", "show", "dev", interface)[0]["address"])

    def addresses(self, host: str, interface: str = "eth0") -> dict[str, dict[str, Any]]:
        """What stands on an interface of the host, as ``ip -j addr`` shows it, by address."""
        (found,) = _shown(self.namespace(host), "addr", "show", "dev", interface)
        return {one["local"]: one for one in found["addr_info"]}

    def neighbour(self, host: str, address: str) -> str | None:
        """The hardware address that the host believes an address to have."""
        found = _shown(self.namespace(host), "neigh", "show", "to", address)
        return next((str(one["lladdr"]) for one in found if "lladdr" in one), None)

    def ip(self, host: str, *words: str) -> str:
        """Run ``ip`` on the host and answer what it wrote.

        :raises subprocess.CalledProcessError: it failed.
        """
        return _run("ip", "-n", self.namespace(host), *words)

    def cut(self, host: str) -> None:
        """Pull the host's cable."""
        self.ip(_BRIDGE, "link", "set", f"v{self.hosts[host]}", "down")

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self.ip(_BRIDGE, "link", "set", f"v{self.hosts[host]}", "up")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Stand at the bridge, as 10.77.0.254: the calling thread and those that it starts reach all hosts."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(f"/run/netns/{self.namespace(_BRIDGE)}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _set_namespace(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _set_namespace(home)
        finally:
            os.close(home)

    def _make_host(self, name: str) -> None:
        _run("ip", "netns", "add", self.namespace(name))
        self.ip(name, "link", "set", "lo", "up")
        for key, value in _PER_HOST.items():
            _run(*self.launcher(name), "sysctl", "-q", "-w", f"{key}={value}")

    def _connect(self, name: str) -> None:
        port = f"v{self.hosts[name]}"
        bridge, host = self.namespace(_BRIDGE), self.namespace(name)
        _run("ip", "link", "add", port, "netns", bridge, "type", "veth", "peer", "name", "eth0", "netns", host)
        self.ip(_BRIDGE, "link", "set", port, "master", "br0", "up")
        self.ip(name, "link", "set", "eth0", "up")
        self.ip(name, "addr", "add", f"{self.ipv4(name)}/24", "dev", "eth0")
        self.ip(name, "addr", "add", f"{self.ipv6(name)}/64", "dev", "eth0", "nodad")

    def _wait_until_ready(self, name: str) -> None:
        def is_ready() -> bool:
            return not any(one.get("tentative") for one in self.addresses(name).values())

        wait_for(is_ready, f"{name}: the addresses of eth0 are usable", deadline_s=_COMMAND_S)


def _shown(namespace: str, *words: str) -> list[dict[str, Any]]:
    """What ``ip`` shows, without the empty objects that stand for what was not asked for."""
    found: list[dict[str, Any]] = json.loads(_run("ip", "-j", "-n", namespace, *words) or "[]")
    return [one for one in found if one]


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        error.add_note(done.stderr)
        raise error
    return done.stdout


def _set_namespace(fd: int) -> None:
    """Move the calling thread (Python has ``os.setns`` from 3.12 on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
