"""The way from files and environment to the frozen settings of a node: all faults at once, or all settings.

It brings the schema library with it, so processes that must stay small let a short-lived child call it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from marshmallow import Schema, ValidationError

from hacore.config import advice, stores
from hacore.config.document import Document
from hacore.config.fault import ConfigFaultsError, Fault, Path, dotted, nearest
from hacore.config.loaded import LoadedConfig
from hacore.config.old_layout import modernised
from hacore.config.postgresql_keys import BASEBACKUP, method_names
from hacore.config.redaction import shown
from hacore.config.schemas.local import LocalSchema
from hacore.config.settings import BootstrapSettings, CtlSettings, DcsSection, GuardSettings, LocalSettings, PluginSections, RestApiSettings
from hacore.config.sources import Sources, gather
from hacore.errors import ConfigError, PluginError
from hacore.interfaces import SectionChecker
from hacore.schema import SectionSchema, describe, messages_of, unknown_keys

_CORE_SECTIONS: Final = frozenset(LocalSchema().fields)


class PluginSchemas(Protocol):
    """What the loader has to know of installed plugins. ``hacore.plugins`` has it."""

    def stores(self) -> Collection[str]:
        """Return the names of the installed stores."""

    def schema(self, name: str) -> type[SectionChecker] | None:
        """Return the class of the schema of a plugin's section; ``None``: it takes no settings.

        :raises PluginError: there is no such plugin, or it cannot be loaded.
        """


@dataclass(slots=True)
class Findings:
    """What was found so far, on the way through one configuration."""

    document: Document
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    secrets: set[Path] = field(default_factory=set)
    defaults: dict[Path, object] = field(default_factory=dict)

    def fault(self, path: Path, wanted: str) -> None:
        """Note that a value is wrong; what was found there is shown unless it is a secret or not there."""
        found = self.value(path)
        place = self.document.place(path)
        self.faults.append(
            Fault(
                file=place.file if place else None,
                line=place.line if place else None,
                path=dotted(path),
                found=None if found is None or wanted.startswith("no ") else shown(found, path, self.secrets),
                wanted=wanted,
            )
        )

    def note(self, path: Path, text: str, suggestion: str | None = None, *, as_fault: bool = False) -> None:
        """Note something about a key, not about its value."""
        place = self.document.place(path)
        file, line = (place.file, place.line) if place else (None, None)
        (self.faults if as_fault else self.warnings).append(
            Fault(file=file, line=line, path=dotted(path), found=None, wanted=text, suggestion=suggestion)
        )

    def value(self, path: Path) -> object:
        """Return what stands at a path, ``None`` where nothing does."""
        found: Any = self.document.values
        for part in path:
            if isinstance(found, list) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def check(self, schema: SectionChecker, section: Mapping[str, Any], path: Path, *, strict: bool) -> object:
        """Let a schema read a section; what it finds wrong is noted, and ``None`` returned."""
        if isinstance(schema, Schema):
            self._learn(schema, path)
            for inner, known in unknown_keys(schema, section):
                where = (*path, *inner)
                names = (*known, *stores.OWN, *stores.OF_THE_FIELD) if len(where) == 1 else known
                self.note(where, "unknown key", nearest(str(inner[-1]), names), as_fault=strict)
        try:
            settings = schema.load(section)
        except ValidationError as error:
            for inner, wanted in messages_of(error):
                self.fault((*path, *inner), wanted)
        except (ConfigError, PluginError) as error:
            self.note(path, str(error), as_fault=True)
        else:
            for inner, text in schema.remarks(section, settings) if isinstance(schema, SectionSchema) else ():
                self.note((*path, *inner), text)
            return settings
        return None

    def _learn(self, schema: Schema, path: Path) -> None:
        for key in describe(schema):
            where = (*path, *key.path)
            if key.secret:
                self.secrets.add(where)
            if not key.required:
                self.defaults[where] = key.default


def load_config(path: str | None, environ: Mapping[str, str], *, plugins: PluginSchemas | None, strict: bool) -> LoadedConfig:
    """Read, check and freeze.

    :raises ConfigFaultsError: with all faults.
    """
    installed = frozenset(plugins.stores()) if plugins is not None else stores.installed_stores()
    found = findings_of(gather(path, environ, {*installed, *stores.OF_THE_FIELD, *stores.OWN}))
    values, places = found.document.values, found.document.places
    settings = _check_core(found, installed, strict=strict)
    store = check_store(found, installed, plugins, strict=strict)
    built = _check_plugins(found, plugins, strict=strict)
    source = _check_bootstrap(found, settings, plugins, strict=strict)
    for where, text in advice.errors(values):
        found.fault(where, text)
    for where, text in advice.warnings(values):
        found.note(where, text)
    if found.faults or settings is None or store is None:
        # A misspelt key is often why another one is missing.
        misspelt = [warning for warning in found.warnings if warning.suggestion is not None]
        raise ConfigFaultsError(_in_order(found.faults + misspelt))
    local = _assemble(settings, store, built, source)
    return LoadedConfig(
        local=local,
        warnings=tuple(_in_order(found.warnings)),
        values=values,
        places=places,
        defaults=found.defaults,
        secrets=frozenset(found.secrets),
    )


def findings_of(sources: Sources) -> Findings:
    """Begin with what the sources themselves had to say."""
    values, places, old = modernised(sources.document)
    found = Findings(document=replace(sources.document, values=values, places=places), faults=list(sources.document.faults))
    found.warnings.extend(sources.warnings)
    for where, text in old:
        found.note(where, text)
    return found


def _check_core(found: Findings, installed: Collection[str], *, strict: bool) -> dict[str, Any] | None:
    values = found.document.values
    aside = {*installed, *stores.OF_THE_FIELD, *stores.OWN, *advice.DYNAMIC_NAMES}
    core = {name: value for name, value in values.items() if name not in aside}
    settings = found.check(LocalSchema(), core, (), strict=strict)
    return settings if isinstance(settings, dict) else None


def check_store(found: Findings, installed: Collection[str], plugins: PluginSchemas | None, *, strict: bool) -> DcsSection | None:
    """Return the one section that names a store, checked by the plugin's own schema."""
    name, wrong = stores.choose(found.document.values, installed)
    for path, wanted in wrong.items():
        found.note(path, wanted, as_fault=True)
    if name is None:
        return None
    section = found.document.values[name]
    if section is None:
        section = {}
    if not isinstance(section, dict):
        found.fault((name,), "a mapping")
        return None
    return DcsSection(name=name, section=section, settings=_built(found, plugins, name, (name,), section, strict=strict))


def _check_plugins(found: Findings, plugins: PluginSchemas | None, *, strict: bool) -> dict[str, object]:
    """Let every plugin that is named check its section, also one that has none: a key may be required."""
    built: dict[str, object] = {}
    for name, named_at in _named_plugins(found.document.values):
        sections = found.value(("plugins",))
        section = sections.get(name) if isinstance(sections, Mapping) else None
        path: Path = named_at if section is None else ("plugins", name)
        if name not in built and (section is None or isinstance(section, Mapping)):
            built[name] = _built(found, plugins, name, path, section or {}, strict=strict)
    return built


def _check_bootstrap(found: Findings, settings: dict[str, Any] | None, plugins: PluginSchemas | None, *, strict: bool) -> object:
    """Let the plugin that a new cluster's first data come from check its section, with what the method says on top of it."""
    bootstrap: BootstrapSettings | None = settings["bootstrap"] if settings is not None else None
    method = bootstrap.method if bootstrap is not None else None
    if method is None or method.restore is None:
        return None
    name = method.restore.plugin
    own = found.value(("plugins", name))
    section = {**(own if isinstance(own, Mapping) else {}), **method.restore.source}
    return _built(found, plugins, name, ("bootstrap", method.name, "source"), section, strict=strict)


def _named_plugins(values: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Return the name of each plugin in use besides the store, with the place that names it."""
    for key in ("routers", "listeners"):
        names = values.get(key)
        listed = names.split(",") if isinstance(names, str) else names if isinstance(names, list) else []
        yield from ((name.strip(), (key,)) for name in listed if isinstance(name, str))
    if isinstance(archive := values.get("archive"), str):
        yield archive, ("archive",)
    if isinstance(backup := values.get("backup"), Mapping) and isinstance(name := backup.get("plugin"), str):
        yield name, ("backup", "plugin")
    if isinstance(section := values.get("postgresql"), Mapping):
        methods = [name for name in method_names(section) if name != BASEBACKUP and section.get(name) is None]
        yield from ((name, ("postgresql", "create_replica_methods")) for name in methods)
    if isinstance(sections := values.get("plugins"), Mapping):
        yield from ((name, ("plugins", name)) for name in sections)


def _built(
    found: Findings, plugins: PluginSchemas | None, name: str, path: Path, section: Mapping[str, Any], *, strict: bool
) -> object:  # fmt: skip
    """Return what a plugin is built with: what its schema made of the section, or the section where it has none."""
    if plugins is None:
        return section
    try:
        schema = plugins.schema(name)
    except PluginError as error:
        found.note(path, str(error), as_fault=True)
        return None
    if schema is None:
        for key in section:
            found.note((*path, key), f"unknown key: the plugin {name} takes no settings", as_fault=strict)
        return section
    return found.check(schema(), section, path, strict=strict)


def _in_order(faults: list[Fault]) -> list[Fault]:
    """Sort as a person goes through the files; the same thing is said once."""
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.file or "", fault.line or 0))


def _assemble(settings: dict[str, Any], store: DcsSection, built: Mapping[str, object], source: object) -> LocalSettings:
    restapi: RestApiSettings = settings["restapi"]
    ctl: CtlSettings = settings["ctl"]
    guard: GuardSettings = settings["guard"]
    return LocalSettings(
        name=settings["name"],
        scope=settings["scope"],
        namespace=settings["namespace"],
        restapi=restapi,
        log=settings["log"],
        ctl=replace(ctl, authentication=ctl.authentication or restapi.authentication, cacert=ctl.cacert or restapi.cafile),
        tags=settings["tags"],
        watchdog=settings["watchdog"],
        postgresql=settings["postgresql"],
        bootstrap=settings["bootstrap"],
        guard=replace(guard, state_dir=guard.state_dir or f"{settings['postgresql'].data_dir.rstrip('/')}.hacore"),
        plugins=PluginSections(
            sections=settings["plugins"],
            settings=built,
            archive=settings["archive"],
            backup=settings["backup"],
            bootstrap=source,
            routers=settings["routers"],
            listeners=settings["listeners"],
        ),
        dcs=store,
    )
