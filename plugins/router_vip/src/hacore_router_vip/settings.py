"""What stands in the section ``plugins: {vip: ...}``, checked and frozen."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingAddress:
    """One address that follows the leader."""

    ip: Ip
    prefix: int

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VipSettings:
    """Settings of the floating IP."""

    interface: str
    addresses: tuple[FloatingAddress, ...]
    label: str | None = None  # of the IPv4 addresses, for ``ip addr`` and old tools; IPv6 has none
    announcements: int = 5  # of an address that has just come
    announcements_within_s: float = 2.0  # from the first of them to the last
    announce_every_s: float = 30.0  # afterwards
    duplicate_probe: bool = True
