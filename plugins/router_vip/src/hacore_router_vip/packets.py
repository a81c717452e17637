"""ARP and neighbour discovery as bytes: who has an address, said to everybody. Pure; RFC 826, 5227, 4861."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from hacore_router_vip.settings import Ip

MAC_BYTES: Final = 6
ALL_NODES: Final = "ff02::1"
NEIGHBOUR_ADVERTISEMENT: Final = 136
_NEIGHBOUR_SOLICITATION: Final = 135
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4 = 1, 0x0800
_REQUEST, _REPLY = 1, 2
_NOBODY: Final = bytes(MAC_BYTES)
_ND: Final = struct.Struct("!BBHI16s")  # type, code, checksum (the kernel's to fill in), flags, target
_OPTION: Final = struct.Struct("!BB6s")
_OVERRIDE: Final = 0x20000000
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says that he has an address."""

    ip: Ip
    mac: bytes


def gratuitous_arp(ip: IPv4Address, mac: bytes) -> tuple[bytes, bytes]:
    """Return the announcement as a request and as a reply: there are hosts that only heed one of them."""
    request = _ARP.pack(_ETHERNET, _IPV4, MAC_BYTES, 4, _REQUEST, mac, ip.packed, _NOBODY, ip.packed)
    reply = _ARP.pack(_ETHERNET, _IPV4, MAC_BYTES, 4, _REPLY, mac, ip.packed, mac, ip.packed)
    return request, reply


def arp_probe(ip: IPv4Address, mac: bytes) -> bytes:
    """Return the question who has the address, from nobody: it changes no table."""
    return _ARP.pack(_ETHERNET, _IPV4, MAC_BYTES, 4, _REQUEST, mac, bytes(4), _NOBODY, ip.packed)


def read_arp(packet: bytes) -> Claim | None:
    """Return whom the sender says to be; ``None``: it is no ARP for Ethernet and IPv4."""
    if len(packet) < _ARP.size:
        return None
    hardware, protocol, mac_bytes, ip_bytes, _, mac, ip, _, _ = _ARP.unpack_from(packet)
    if (hardware, protocol, mac_bytes, ip_bytes) != (_ETHERNET, _IPV4, MAC_BYTES, 4):
        return None
    return Claim(IPv4Address(ip), mac)


def neighbour_advertisement(ip: IPv6Address, mac: bytes) -> bytes:
    """Return the announcement, which overrides what a neighbour has in its table."""
    head = _ND.pack(NEIGHBOUR_ADVERTISEMENT, 0, 0, _OVERRIDE, ip.packed)
    return head + _OPTION.pack(_TARGET_LINK_LAYER, 1, mac)


def neighbour_solicitation(ip: IPv6Address, mac: bytes) -> bytes:
    """Return the question who has the address."""
    return _ND.pack(_NEIGHBOUR_SOLICITATION, 0, 0, 0, ip.packed) + _OPTION.pack(_SOURCE_LINK_LAYER, 1, mac)


def solicited_node(ip: IPv6Address) -> str:
    """Return the group at which the holder of an address listens for that question."""
    return str(IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + ip.packed[13:]))


def read_advertisement(packet: bytes) -> Claim | None:
    """Return who says to have which address; ``None``: it is no advertisement, or says no hardware address."""
    if len(packet) < _ND.size + _OPTION.size:
        return None
    kind, _, _, _, target = _ND.unpack_from(packet)
    option, units, mac = _OPTION.unpack_from(packet, _ND.size)
    if (kind, option, units) != (NEIGHBOUR_ADVERTISEMENT, _TARGET_LINK_LAYER, 1):
        return None
    return Claim(IPv6Address(target), mac)
