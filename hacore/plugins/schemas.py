"""The schemas of plugins' sections, for whoever reads the configuration. They are asked of the class, before there is an instance."""

import inspect
from collections.abc import Collection
from typing import Final, cast

from hacore.errors import HacoreError, PluginError
from hacore.hookspecs import AnyPlugin
from hacore.interfaces import SectionChecker
from hacore.plugins.calling import isolated
from hacore.plugins.declaration import SCHEMA_HOOK
from hacore.plugins.finding import Found, declared, find_any
from hacore.plugins.lanes import run_once

_LIMIT_S: Final = 10.0


class InstalledSchemas:
    """What the loader of the configuration has to know of installed plugins."""

    def stores(self) -> Collection[str]:
        """Return the names of the installed stores."""
        return {one.name for one in declared(["dcs"])}

    def schema(self, name: str) -> type[SectionChecker] | None:
        """Return the class of the schema of a plugin's section; ``None``: it takes no settings.

        :raises PluginError: there is no such plugin, or it cannot be loaded.
        """
        return schema_of(find_any(name))


def schema_of(found: Found) -> type[SectionChecker] | None:
    """Return the class of the schema of a plugin's section; ``None``: it takes no settings.

    :raises PluginError: the plugin does not give one.
    """
    ask = getattr(found.plugin, SCHEMA_HOOK, AnyPlugin.hacore_config_schema)
    if ask is AnyPlugin.hacore_config_schema:
        return None
    what = f"{found.declared}: {SCHEMA_HOOK}"
    try:
        schema: object = run_once(found.name, lambda: isolated(what, ask), what=what, limit_s=_LIMIT_S)
    except HacoreError as error:
        raise PluginError(str(error)) from error
    if schema is None:
        return None
    if not inspect.isclass(schema) or not callable(getattr(schema, "load", None)):
        raise PluginError(f"{what} returned {type(schema).__name__}, want a class of schema or None")
    return cast("type[SectionChecker]", schema)


def default_settings(found: Found) -> object:
    """Return what a plugin without a section is built with.

    :raises PluginError: it needs settings.
    """
    schema = schema_of(found)
    if schema is None:
        return {}
    try:
        return isolated(f"{found.declared}: settings", lambda: schema().load({}))
    except HacoreError as error:
        raise PluginError(str(error)) from error
