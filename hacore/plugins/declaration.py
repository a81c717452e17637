"""What is wrong with the class of a plugin, seen before it is built: pluggy alone would leave a misspelt hook uncalled for ever."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from hacore.errors import PluginError
from hacore.hookspecs import KINDS
from hacore.plugins.calling import HOOK_PREFIX, hooks_of

SCHEMA_HOOK: Final = "hacore_config_schema"
CAPABILITIES_HOOK: Final = "hacore_dcs_capabilities"
TRAITS_HOOK: Final = "hacore_router_traits"
_MARK: Final = "hacore_impl"  # set by hookimpl
_STATIC: Final = (SCHEMA_HOOK, CAPABILITIES_HOOK, TRAITS_HOOK)
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "dcs": ("hacore_open_dcs", CAPABILITIES_HOOK),
    "replica": ("hacore_create_replica",),
    "archive": ("hacore_archive_settings",),
    "backup": ("hacore_list_backups", "hacore_backup", "hacore_restore"),
    "router": (TRAITS_HOOK, "hacore_route"),
    "command": ("hacore_commands",),
}


def check_class(plugin: type, kinds: Iterable[str], who: str) -> None:
    """Check the class of a plugin.

    :raises PluginError: with everything that is wrong.
    """
    wrong = [*_constructor(plugin), *_hooks(plugin, list(kinds))]
    if wrong:
        raise PluginError(f"{who}: {'; '.join(wrong)}")


def _constructor(plugin: type) -> Iterator[str]:
    try:
        inspect.signature(plugin).bind(None)
    except (TypeError, ValueError):
        yield "cannot be built with one argument, its settings"


def _hooks(plugin: type, kinds: list[str]) -> Iterator[str]:
    every = {name: kind for kind, protocol in KINDS.items() for name in hooks_of(protocol)}
    own = {name: hook for kind in kinds for name, hook in hooks_of(KINDS[kind]).items()}
    implemented = dict(_implemented(plugin))
    for name, found in implemented.items():
        if name not in every:
            nearest = get_close_matches(name, every, n=1)
            yield f"there is no hook {name}" + (f", did you mean {nearest[0]}" if nearest else "")
        elif name not in own:
            yield f"implements {name} and is not declared in the group hacore.{every[name]}"
        else:
            yield from _hook(plugin, name, found, own[name])
    for kind in kinds:
        for needed in _NEEDED.get(kind, ()):
            if needed not in implemented:
                yield f"does not implement {needed}, which every plugin of kind {kind} must"


def _implemented(plugin: type) -> Iterator[tuple[str, object]]:
    """Return what looks like a hook; what a protocol class of ours leaves to its heirs is none."""
    for name in dir(plugin):
        found = inspect.getattr_static(plugin, name)
        function = inspect.unwrap(getattr(plugin, name)) if isinstance(found, staticmethod | classmethod) else found
        if not (name.startswith(HOOK_PREFIX) or hasattr(function, _MARK)):
            continue
        if not getattr(function, "__module__", "").startswith("hacore.hookspecs."):
            yield name, found


def _hook(plugin: type, name: str, found: object, spec: Callable[..., object]) -> Iterator[str]:
    function = getattr(plugin, name)
    if not callable(function):
        yield f"{name} is {type(function).__name__}, want a method"
        return
    is_static = isinstance(found, staticmethod | classmethod)
    if name in _STATIC:
        if not is_static:
            yield f"{name} must be a static method: it is asked before there is an instance"
        return
    if not hasattr(function, _MARK):
        yield f"{name} is not marked with hookimpl"
    unknown = _arguments(function, is_static=is_static) - _arguments(spec, is_static=False)
    if unknown:
        yield f"{name} has no argument {', '.join(sorted(unknown))}"


def _arguments(function: Callable[..., object], *, is_static: bool) -> set[str]:
    names = [name for name, parameter in inspect.signature(function).parameters.items() if parameter.default is parameter.empty]
    return set(names if is_static else names[1:])
