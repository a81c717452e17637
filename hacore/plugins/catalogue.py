"""What is installed, for people: every plugin with its distribution, whether it can be loaded, and its settings."""

from dataclasses import dataclass, fields, replace

from hacore.errors import HacoreError
from hacore.interfaces import DcsCapabilities
from hacore.plugins.dcs import capabilities_of
from hacore.plugins.finding import Declared, Found, declared, find
from hacore.plugins.routers import traits_of
from hacore.plugins.schemas import schema_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of a plugin's section."""

    name: str  # ``tls.cacert`` for a key inside a section
    default: object | None
    required: bool
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing that a store declares of itself."""

    name: str
    value: bool | float | tuple[tuple[str, ...], ...]
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One plugin. ``problem``: why it cannot be used, ``None`` where it can."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str | None = None
    settings: tuple[Setting, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    traits: tuple[tuple[str, str | bool], ...] = ()  # of a router
    description: str = ""


def available() -> tuple[Row, ...]:
    """Return every installed plugin, loading each."""
    return tuple(_row(one) for one in declared())


def _row(one: Declared) -> Row:
    row = Row(kind=one.kind, name=one.name, target=one.target, distribution=one.distribution, version=one.version)
    try:
        found = find(one.kind, one.name)
        return replace(
            row, settings=_settings(found), capabilities=_capabilities(found), traits=_traits(found), description=_description(found)
        )
    except HacoreError as error:
        return replace(row, problem=str(error))


def _settings(found: Found) -> tuple[Setting, ...]:
    schema = schema_of(found)
    if schema is None:
        return ()
    from marshmallow import Schema  # noqa: PLC0415 - a heavy library, that only a plugin with a schema needs

    from hacore.schema import describe  # noqa: PLC0415 - the same

    built = schema()
    if not isinstance(built, Schema):
        return ()
    return tuple(
        Setting(
            name=".".join(key.path),
            default=None if key.secret else key.default,
            required=key.required,
            secret=key.secret,
        )
        for key in describe(built)
    )


def _capabilities(found: Found) -> tuple[Capability, ...]:
    if found.declared.kind != "dcs":
        return ()
    declares = capabilities_of(found)
    return tuple(
        Capability(name=one.name, value=getattr(declares, one.name), meaning=one.metadata["meaning"]) for one in fields(DcsCapabilities)
    )


def _traits(found: Found) -> tuple[tuple[str, str | bool], ...]:
    if found.declared.kind != "router":
        return ()
    traits = traits_of(found)
    return (("layer", str(traits.layer)), ("drains", traits.drains))


def _description(found: Found) -> str:
    return (found.plugin.__doc__ or "").strip().partition("\n")[0]
