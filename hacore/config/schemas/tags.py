"""Section ``tags``: what a member says of itself."""

import math
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import INCLUDE, post_load, validates_schema
from marshmallow import ValidationError as Invalid

from hacore import convert
from hacore.model.policy import Tags
from hacore.schema import Converted, SectionSchema

_SWITCHES: Final = ("nofailover", "clonefrom", "noloadbalance", "nosync", "nostream")


class TagsSchema(SectionSchema):
    """Section ``tags``. Any other key is published as it is."""

    class Meta:
        """Other tags are welcome."""

        unknown = INCLUDE

    nofailover = Converted(convert.flag)
    failover_priority = Converted(convert.whole())
    clonefrom = Converted(convert.flag)
    noloadbalance = Converted(convert.flag)
    replicatefrom = Converted(convert.word)
    nosync = Converted(convert.flag)
    sync_priority = Converted(convert.whole())
    nostream = Converted(convert.flag)

    def welcomes(self, key: str, section: Mapping[str, Any]) -> bool:  # noqa: ARG002 - any key
        """Every tag is welcome."""
        return True

    @validates_schema
    def check_others(self, data: Mapping[str, Any], **_: object) -> None:
        """Other tags are single values, because checks like ``?tag_zone=a`` compare them."""
        wrong = [key for key in data if key not in self.fields and not _is_scalar(data[key])]
        if wrong:
            raise Invalid({key: ["text, a number, or on or off"] for key in wrong})

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> Tags:
        """Return the section as a frozen value: ``nofailover`` wins over ``failover_priority``, ``nosync`` over ``sync_priority``."""
        priority, sync_priority = data.get("failover_priority", 1), data.get("sync_priority", 1)
        nofailover = data.get("nofailover", priority <= 0)
        nosync = data.get("nosync", sync_priority <= 0)
        return Tags(
            nofailover=nofailover,
            failover_priority=priority if nofailover else max(priority, 1),
            clonefrom=data.get("clonefrom", False),
            noloadbalance=data.get("noloadbalance", False),
            replicatefrom=data.get("replicatefrom"),
            nosync=nosync,
            sync_priority=sync_priority if nosync else max(sync_priority, 1),
            nostream=data.get("nostream", False),
            published=tuple((key, value) for key, value in data.items() if _is_published(key, value, data)),
        )


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _is_published(key: str, value: object, data: Mapping[str, Any]) -> bool:
    """Readers take an absent switch for off; ``nofailover: false`` says something only beside a priority."""
    return key not in _SWITCHES or bool(value) or (key == "nofailover" and "failover_priority" in data)
