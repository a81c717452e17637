"""Sections ``guard`` and ``watchdog``: what ends writes when nothing else does."""

from pathlib import Path
from typing import Any, Final

from marshmallow import post_load

from hacore import convert
from hacore.config.settings import GuardSettings, WatchdogSettings
from hacore.convert import WrongValueError
from hacore.schema import Converted, SectionSchema

_SYNONYMS: Final = {"auto": "automatic", "require": "required", "false": "off"}
_MODE: Final = convert.choice("off", "automatic", "required", synonyms=_SYNONYMS)


def _mode(value: object) -> str:
    mode = _MODE(value)
    if mode == "required":
        raise WrongValueError("off or automatic: required does not work yet, the kernel's watchdog device is not driven (the guard is)")
    return mode


class GuardSchema(SectionSchema):
    """Section ``guard``."""

    margin = Converted(convert.seconds, load_default=None)
    budget = Converted(convert.seconds, load_default=None)
    state_dir = Converted(
        lambda value: str(Path(convert.word(value)).absolute()), load_default=""
    )  # beside the data directory, which is known only together with it

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> GuardSettings:
        """Return the section as a frozen value."""
        return GuardSettings(margin_s=data["margin"], budget_s=data["budget"], state_dir=data["state_dir"])


class WatchdogSchema(SectionSchema):
    """Section ``watchdog``."""

    mode = Converted(_mode, load_default="automatic")
    device = Converted(convert.word, load_default="/dev/watchdog")
    safety_margin = Converted(convert.whole(-1), load_default=5)
    driver = Converted(convert.choice("default", "testing"), load_default="default")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> WatchdogSettings:
        """Return the section as a frozen value."""
        return WatchdogSettings(**data)
