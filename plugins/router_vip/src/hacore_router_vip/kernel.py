"""The door to the kernel's interfaces and addresses: rtnetlink, by pyroute2. It knows nothing of leases, and announces nothing.

The library rather than the program ``ip``: nothing is executed on the way on which an address must go, errors are numbers, and the
capability stays in this process; a program would only have it if everything that the agent executes could inherit it.
"""

import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from hacore_router_vip.settings import FloatingAddress, Ip

_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_LOWER_UP: Final = 0x10000
_IFA_F_NODAD: Final = 0x02
_IFA_F_DADFAILED: Final = 0x08
_FOREVER: Final = 0xFFFFFFFF


class KernelRefusedError(Exception):
    """The kernel did not do what it was asked: ``number`` of errno, and what it was."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"{what}: {errno.errorcode.get(number, number)}")
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface as it is now."""

    index: int
    name: str
    mac: bytes | None  # ``None``: nobody resolves addresses on it
    is_up: bool  # it was switched on ...
    has_carrier: bool  # ... and is connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An address that an interface has now."""

    index: int  # of the interface
    address: FloatingAddress
    valid_s: int | None  # for which it will stand unless it is refreshed; ``None``: for ever
    is_refused: bool  # duplicate detection found another holder: the kernel does not use it

    @property
    def ip(self) -> Ip:
        """Return the address without its prefix."""
        return self.address.ip


def load_library() -> None:
    """Load what the calls below need, so that none of them has to: a revocation has a second."""
    from pyroute2.iproute.linux import IPRoute  # noqa: F401, PLC0415 - 7 MiB that only an agent with this plugin needs


def link_named(name: str) -> Link | None:
    """Return an interface, by its name or by an alternative one; ``None``: there is none."""
    try:
        index = socket.if_nametoindex(name)
        with _netlink(f"interface {name}") as netlink:
            found = next(iter(netlink.get_links(index)))
    except OSError:
        return None
    except KernelRefusedError as error:
        if error.number == errno.ENODEV:  # it went between the two
            return None
        raise
    flags, mac = int(found["flags"]), found.get_attr("IFLA_ADDRESS")
    is_resolved = mac is not None and not flags & _IFF_LOOPBACK
    return Link(
        index=index,
        name=name,
        mac=bytes.fromhex(mac.replace(":", "")) if is_resolved else None,
        is_up=bool(flags & _IFF_UP),
        has_carrier=bool(flags & _IFF_LOWER_UP),
    )


def standing(ips: Collection[Ip]) -> list[Standing]:
    """Return where these addresses stand, whatever the prefix and whoever put them there; on a loopback interface they harm nobody."""
    with _netlink("addresses") as netlink:
        loopbacks = {int(link["index"]) for link in netlink.get_links() if int(link["flags"]) & _IFF_LOOPBACK}
        everything = [_read(message) for message in netlink.get_addr()]
    return [one for one in everything if one.ip in ips and one.index not in loopbacks]


def put(link: Link, address: FloatingAddress, *, valid_s: int, label: str | None = None, probes_first: bool = False) -> None:
    """Have the address on the interface for so many seconds from now, whether it is there already or not.

    An IPv6 address is deprecated from the beginning: it takes connections, but this machine's own never begin from it.

    :param probes_first: an IPv6 address is used, and announced by the kernel, only after a second without another holder.
    :raises KernelRefusedError: the kernel did not do it.
    """
    is_ipv6 = address.ip.version == 6  # noqa: PLR2004 - the number of the protocol
    details: dict[str, Any] = {"IFA_CACHEINFO": {"ifa_preferred": 0 if is_ipv6 else valid_s, "ifa_valid": valid_s}}
    if is_ipv6 and not probes_first:
        details["IFA_FLAGS"] = _IFA_F_NODAD
    if not is_ipv6 and label is not None:
        details["label"] = label
    with _netlink(f"{address} on {link.name}") as netlink:
        netlink.addr("replace", index=link.index, family=_family(address), address=str(address.ip), prefixlen=address.prefix, **details)


def remove(one: Standing) -> None:
    """Take an address away. One that is gone, or whose interface is, is gone.

    :raises KernelRefusedError: the kernel did not do it.
    """
    try:
        with _netlink(str(one.address)) as netlink:
            netlink.addr("del", index=one.index, family=_family(one.address), address=str(one.ip), prefixlen=one.address.prefix)
    except KernelRefusedError as error:
        if error.number not in {errno.EADDRNOTAVAIL, errno.ENODEV}:
            raise


def _family(address: FloatingAddress) -> int:
    return socket.AF_INET if address.ip.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the number of the protocol


def _read(message: Any) -> Standing:  # noqa: ANN401 - the library's
    ip = ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))  # IFA_LOCAL is ours where the two differ
    valid_s = int((message.get_attr("IFA_CACHEINFO") or {"ifa_valid": _FOREVER})["ifa_valid"])
    flags = int(message.get_attr("IFA_FLAGS") or message["flags"])
    return Standing(
        index=int(message["index"]),
        address=FloatingAddress(ip=ip, prefix=int(message["prefixlen"])),
        valid_s=None if valid_s == _FOREVER else valid_s,
        is_refused=bool(flags & _IFA_F_DADFAILED),
    )


@contextmanager
def _netlink(what: str) -> Iterator[Any]:
    """Open a connection to the kernel for one errand; it takes a millisecond or two."""
    from pyroute2.iproute.linux import IPRoute  # noqa: PLC0415 - as above
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415

    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        raise KernelRefusedError(int(error.code), what) from error
