"""Packets are what the standards say, and what comes back is read or left alone."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from hacore_router_vip.lifetime import whole_seconds
from hacore_router_vip.packets import (
    Claim,
    arp_probe,
    gratuitous_arp,
    neighbour_advertisement,
    neighbour_solicitation,
    read_advertisement,
    read_arp,
    solicited_node,
)

IP4, IP6, MAC = IPv4Address("10.0.0.100"), IPv6Address("fd00::1:203"), bytes.fromhex("0a0b0c0d0e0f")


def test_a_gratuitous_arp_names_the_address_as_sender_and_as_target() -> None:
    request, reply = gratuitous_arp(IP4, MAC)
    assert request.hex() == "0001080006040001" + "0a0b0c0d0e0f" + "0a000064" + "000000000000" + "0a000064"
    assert reply.hex() == "0001080006040002" + "0a0b0c0d0e0f" + "0a000064" + "0a0b0c0d0e0f" + "0a000064"


def test_a_probe_says_of_nobody_that_he_has_the_address() -> None:
    assert arp_probe(IP4, MAC).hex() == "0001080006040001" + "0a0b0c0d0e0f" + "00000000" + "000000000000" + "0a000064"


def test_an_advertisement_overrides_what_is_known() -> None:
    head = "88000000" + "20000000" + "fd000000000000000000000000010203"
    assert neighbour_advertisement(IP6, MAC).hex() == head + "0201" + "0a0b0c0d0e0f"


def test_a_solicitation_goes_to_the_group_of_its_target() -> None:
    assert neighbour_solicitation(IP6, MAC).hex() == "8700000000000000fd000000000000000000000000010203" + "0101" + "0a0b0c0d0e0f"
    assert solicited_node(IP6) == "ff02::1:ff01:203"


def test_who_claims_an_address_is_read() -> None:
    assert read_arp(gratuitous_arp(IP4, MAC)[1] + bytes(18)) == Claim(IP4, MAC)  # filled up to the shortest frame
    assert read_advertisement(neighbour_advertisement(IP6, MAC)) == Claim(IP6, MAC)


@pytest.mark.parametrize("packet", [b"", bytes(20), bytes(40), gratuitous_arp(IP4, MAC)[0][:27], neighbour_solicitation(IP6, MAC)])
def test_anything_else_claims_nothing(packet: bytes) -> None:
    assert read_advertisement(packet) is None
    if len(packet) != 32:
        assert read_arp(packet) is None


@pytest.mark.parametrize(("left_s", "whole"), [(25.0, 25), (24.999, 24), (1.0, 1), (0.999, 0), (0.0, 0), (-3.5, 0), (1e12, 2**31)])
def test_a_lifetime_is_rounded_down_and_never_negative(left_s: float, whole: int) -> None:
    assert whole_seconds(left_s, 0.0) == whole
