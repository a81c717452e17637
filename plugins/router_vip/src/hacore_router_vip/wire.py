"""Saying and asking on the link who has an address: the sockets under :mod:`packets`.

Raw packets need CAP_NET_RAW. Without it an IPv4 address is announced by the kernel: a datagram from it to an address that nobody has makes
the kernel ask everybody for that one, three times within two seconds, in the name of ours, and every host that hears it corrects its table.
An IPv6 address is then announced once, by the kernel, when it comes (``kernel.put``).
"""

import select
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from hacore_router_vip.kernel import Link
from hacore_router_vip.packets import (
    ALL_NODES,
    NEIGHBOUR_ADVERTISEMENT,
    Claim,
    arp_probe,
    gratuitous_arp,
    neighbour_advertisement,
    neighbour_solicitation,
    read_advertisement,
    read_arp,
    solicited_node,
)
from hacore_router_vip.settings import Ip

_ETH_P_ARP: Final = 0x0806
_ARPHRD_ETHER: Final = 1
_BROADCAST: Final = b"\xff" * 6
_ICMP6_FILTER: Final = 1
_HOP_LIMIT: Final = 255  # of neighbour discovery: anything less came from beyond a router, and is not heeded
_NOBODYS: Final = ("192.0.2.1", 9)  # RFC 5737: an address that no host has
_LONGEST: Final = 2048


@dataclass(frozen=True, slots=True)
class Place:
    """An interface that resolves addresses, to announce on."""

    link: Link
    mac: bytes


def may_send_packets() -> bool:
    """Tell whether this thread may send raw packets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except PermissionError:
        return False
    return True


def announce(ip: Ip, place: Place) -> None:
    """Tell everybody on the link that the address is here now.

    :raises OSError: it could not be sent; an address that is not here cannot be announced.
    """
    if isinstance(ip, IPv4Address):
        with _arp_socket(place, 0) as sender:
            for packet in gratuitous_arp(ip, place.mac):
                sender.sendto(packet, (place.link.name, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST))
    else:
        with _icmp6_socket(place) as sender:
            sender.bind((str(ip), 0, 0, place.link.index))
            sender.sendto(neighbour_advertisement(ip, place.mac), (ALL_NODES, 0, 0, place.link.index))


def announce_without_packets(ip: Ip, place: Place) -> None:
    """Make the kernel do it, as far as it does.

    :raises OSError: it does not.
    """
    if isinstance(ip, IPv6Address):
        return  # it has, when the address came
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.link.name.encode())
        sender.bind((str(ip), 0))
        sender.sendto(b"", socket.MSG_DONTROUTE, _NOBODYS)


def other_holders(ips: Iterable[Ip], place: Place, listen_s: float) -> list[Claim]:
    """Ask who else has these addresses, and return who has answered in time.

    :raises OSError: it cannot be asked.
    """
    wanted, found = set(ips), dict[Claim, None]()
    with ExitStack() as stack:
        arp = stack.enter_context(_arp_socket(place, _ETH_P_ARP))
        icmp6 = stack.enter_context(_icmp6_socket(place))
        for ip in wanted:
            if isinstance(ip, IPv4Address):
                arp.sendto(arp_probe(ip, place.mac), (place.link.name, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST))
            else:
                icmp6.sendto(neighbour_solicitation(ip, place.mac), (solicited_node(ip), 0, 0, place.link.index))
        ends_at = time.monotonic() + listen_s
        while (left_s := ends_at - time.monotonic()) > 0:
            for ready in select.select([arp, icmp6], [], [], left_s)[0]:
                packet = ready.recv(_LONGEST)
                claim = read_arp(packet) if ready is arp else read_advertisement(packet)
                if claim is not None and claim.ip in wanted and claim.mac != place.mac:
                    found[claim] = None
    return list(found)


def _arp_socket(place: Place, protocol: int) -> socket.socket:
    """Open a socket for ARP on this interface. With protocol 0 it sends only."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        opened.bind((place.link.name, protocol))
    except BaseException:
        opened.close()
        raise
    return opened


def _icmp6_socket(place: Place) -> socket.socket:
    """Open a socket for advertisements on this interface; the kernel sees to their checksums."""
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        only = bytearray(b"\xff" * 32)  # a set bit keeps a type out
        only[NEIGHBOUR_ADVERTISEMENT // 8] &= ~(1 << NEIGHBOUR_ADVERTISEMENT % 8) & 0xFF
        words = struct.unpack("<8I", only)
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *words))
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOP_LIMIT)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, place.link.index)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.link.name.encode())
    except BaseException:
        opened.close()
        raise
    return opened
