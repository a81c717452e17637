"""How a method is marked as a hook, and as the specification of one."""

from typing import Final

from pluggy import HookimplMarker, HookspecMarker

PROJECT: Final = "hacore"

hookspec: Final = HookspecMarker(PROJECT)
hookimpl: Final = HookimplMarker(PROJECT)
