"""What stands in the sections ``zookeeper`` and ``exhibitor``, checked and frozen."""

from dataclasses import dataclass, field
from typing import Final

PORT: Final = 2181


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhibitorSettings:
    """Where the list of the servers is asked for."""

    hosts: tuple[str, ...]
    port: int
    poll_interval_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZookeeperSettings:
    """Settings of the ZooKeeper store. Either the servers are named, or whoever knows them."""

    hosts: tuple[str, ...] = ()  # ``10.0.0.1:2181``
    exhibitor: ExhibitorSettings | None = None
    chroot: str = ""  # before the namespace: ``/pg``
    use_ssl: bool = False
    cacert: str | None = None  # file; ``None`` with TLS: the machine's own authorities
    cert: str | None = None  # file: our certificate, where the servers want one
    key: str | None = None  # file: its key, where it is not in the same file
    key_password: str | None = field(default=None, repr=False)
    verify: bool = True  # the servers' certificates
    set_acls: tuple[tuple[str, tuple[str, ...]], ...] = ()  # x509 principal and what it may do; none: anybody anything
    auth_data: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # scheme and credential


def address(host: str, port: int = PORT) -> str:
    """Return a host with its port."""
    if host.startswith("["):
        return host if host.rpartition("]")[2].startswith(":") else f"{host}:{port}"
    if host.count(":") > 1:  # an IPv6 address without brackets
        return f"[{host}]:{port}"
    return host if ":" in host else f"{host}:{port}"
