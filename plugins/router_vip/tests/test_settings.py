"""The section is read as it is meant, and what cannot be right is refused with its place."""

from ipaddress import ip_address

import pytest
from marshmallow import ValidationError

from hacore_router_vip.schema import VipSchema
from hacore_router_vip.settings import FloatingAddress, VipSettings


def load(**section: object) -> VipSettings:
    found = VipSchema().load({"interface": "eth0", "addresses": ["10.0.0.100"], **section})
    assert isinstance(found, VipSettings)
    return found


def test_a_section_of_two_keys_is_enough() -> None:
    assert load() == VipSettings(interface="eth0", addresses=(FloatingAddress(ip=ip_address("10.0.0.100"), prefix=32),))


@pytest.mark.parametrize(
    ("text", "ip", "prefix"),
    [
        ("10.0.0.100", "10.0.0.100", 32),
        ("10.0.0.100/24", "10.0.0.100", 24),
        ("fd00::100", "fd00::100", 128),
        ("FD00:0::100/64", "fd00::100", 64),
    ],
)
def test_an_address_has_a_prefix_or_stands_for_itself(text: str, ip: str, prefix: int) -> None:
    assert load(addresses=[text]).addresses == (FloatingAddress(ip=ip_address(ip), prefix=prefix),)


def test_several_addresses_are_a_list_or_a_text_with_commas() -> None:
    assert load(addresses="10.0.0.100/24, fd00::100").addresses == load(addresses=["10.0.0.100/24", "fd00::100"]).addresses


@pytest.mark.parametrize(
    "addresses",
    [[], ["10.0.0.300"], ["db.example"], ["127.0.0.1"], ["224.0.0.1"], ["0.0.0.0"], ["fe80::1"], ["10.0.0.1", "10.0.0.1/24"]],
)
def test_what_is_no_address_of_a_machine_is_refused(addresses: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        load(addresses=addresses)
    assert set(refused.value.messages_dict) == {"addresses"}


@pytest.mark.parametrize("interface", ["", "a-name-that-is-too-long", "../all", ".."])
def test_what_is_no_name_of_an_interface_is_refused(interface: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(interface=interface)
    assert "interface" in refused.value.messages_dict


@pytest.mark.parametrize("label", ["db", "eth1:db", "eth0:a-long-label"])
def test_a_label_belongs_to_its_interface(label: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(label=label)
    assert set(refused.value.messages_dict) == {"label"}
    assert load(label="eth0:db").label == "eth0:db"


def test_announcements_are_as_many_and_as_far_apart_as_they_are_said_to_be() -> None:
    found = load(announcements=3, announcements_within="500ms", announce_every="1min", duplicate_probe=False)
    assert (found.announcements, found.announcements_within_s, found.announce_every_s) == (3, 0.5, 60.0)
    assert not found.duplicate_probe


@pytest.mark.parametrize("section", [{"announcements": 0}, {"announcements_within": "2min"}, {"announce_every": "10ms"}])
def test_announcements_that_are_none_or_a_storm_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        load(**section)
    assert set(refused.value.messages_dict) == set(section)
