"""The schema of the section ``vip``. Imported only where a configuration is read: the agent does without its library."""

from ipaddress import IPv6Address, ip_interface
from typing import Any, Final

from marshmallow import ValidationError, post_load, validates, validates_schema
from marshmallow.validate import Range

from hacore import convert
from hacore.schema import Converted, SectionSchema
from hacore_router_vip.settings import FloatingAddress, VipSettings

_LONGEST_NAME: Final = 15  # IFNAMSIZ without its end, of interfaces and of labels
_WANTED: Final = "an IPv4 or IPv6 address of one machine, with or without /PREFIX"


def floating_address(value: object) -> FloatingAddress:
    """Read ``10.0.0.100/24``; without a prefix the address stands for itself.

    :raises WrongValueError: it is no address that a machine can have.
    """
    text = convert.word(value)
    try:
        found = ip_interface(text)
    except ValueError as error:
        raise convert.WrongValueError(_WANTED) from error
    ip = found.ip
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback or (isinstance(ip, IPv6Address) and ip.is_link_local):
        raise convert.WrongValueError(_WANTED)
    return FloatingAddress(ip=ip, prefix=found.network.prefixlen)


def floating_addresses(value: object) -> tuple[FloatingAddress, ...]:
    """Read a list of them, or one text with commas between them.

    :raises WrongValueError: there is none, or one twice.
    """
    found = convert.listed(floating_address)(list(convert.words_or_text(value)))
    if not found or len({one.ip for one in found}) < len(found):
        raise convert.WrongValueError("at least one address, and none of them twice")
    return found


class VipSchema(SectionSchema):
    """``vip: {interface: eth0, addresses: [10.0.0.100/24]}``."""

    interface = Converted(convert.word, required=True)
    addresses = Converted(floating_addresses, required=True)
    label = Converted(convert.word, load_default=None)
    announcements = Converted(convert.whole(1, 20), load_default=5)
    announcements_within = Converted(convert.seconds, load_default=2.0, validate=Range(max=60, error="at most 60 s"))
    announce_every = Converted(convert.seconds, load_default=30.0, validate=Range(min=1, error="at least 1 s"))
    duplicate_probe = Converted(convert.flag, load_default=True)

    @validates("interface")
    def is_name_of_an_interface(self, value: str, **_: object) -> None:
        """Refuse what the kernel would not take for a name, as a word or as part of a path."""
        if len(value) > _LONGEST_NAME or "/" in value or value in {".", ".."}:
            raise ValidationError(f"the name of an interface, at most {_LONGEST_NAME} characters")

    @validates_schema
    def has_a_label_of_its_interface(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a label that old tools would take for another interface's."""
        label, interface = data.get("label"), data.get("interface")
        if label is not None and (len(label) > _LONGEST_NAME or not label.startswith(f"{interface}:")):
            raise ValidationError(f"{interface}:NAME, at most {_LONGEST_NAME} characters", "label")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> VipSettings:
        """Return the settings that the plugin is built with."""
        within_s, every_s = data.pop("announcements_within"), data.pop("announce_every")
        return VipSettings(announcements_within_s=within_s, announce_every_s=every_s, **data)
