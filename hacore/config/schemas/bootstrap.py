"""Section ``bootstrap``: how the first member makes a new cluster."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.backup.target import parse_target
from hacore.config.keys import Key, Reading, keys_of, mapping
from hacore.config.postgresql_keys import Shared
from hacore.config.schemas.dynamic import DynamicSchema
from hacore.config.settings import BootstrapMethod, BootstrapRestore, BootstrapSettings
from hacore.config.tool_options import initdb_options
from hacore.convert import WrongValueError
from hacore.model.recovery import RecoveryTarget
from hacore.schema import Converted, SectionSchema, nested_messages

_INITDB: Final = "initdb"
_OWN_METHOD_KEYS: Final = frozenset({"command", "no_params", "keep_existing_recovery_conf", "recovery_conf", "scope", "datadir"})
_COMMAND: Final = Key[str | None]("command", convert.command, None)
_NO_PARAMS: Final = Key("no_params", convert.flag, default=False)
_KEEP: Final = Key("keep_existing_recovery_conf", convert.flag, default=False)
_RECOVERY: Final = Key[dict[str, str]]("recovery_conf", Shared.RECOVERY_CONF.convert, {})


def _directories(value: object) -> dict[str, str]:
    """Accept directories by directories.

    :raises WrongValueError: a path is not absolute: it would be another one for another process.
    """
    found = {convert.word(old): convert.word(new) for old, new in mapping(value).items()}
    if not all(path.startswith("/") for pair in found.items() for path in pair):
        raise WrongValueError("a mapping of absolute directories there to absolute directories here")
    return found


class BootstrapKeys:
    """Keys of a bootstrap method that restores a backup, in the order in which they are read."""

    PLUGIN = Key("plugin", convert.word, "")
    TO = Key("to", convert.word, "latest")
    BACKUP = Key[str | None]("backup", convert.word, None)
    INCLUSIVE = Key("inclusive", convert.flag, default=True)
    TIMELINE = Key("timeline", convert.word, "latest")
    SOURCE = Key[dict[str, Any]]("source", mapping, {})
    TABLESPACES = Key[dict[str, str]]("tablespaces", _directories, {})


def bootstrap_method(name: str, section: object) -> BootstrapMethod:
    """Read the section of a method of one's own.

    :raises WrongValueError: with the wrong parts.
    """
    if not isinstance(section, Mapping):
        raise WrongValueError("a mapping with the method's command")
    if section.get("command") is None and section.get(BootstrapKeys.PLUGIN.name) is not None:
        return restore_method(name, section)
    reading = Reading(section)
    command = reading.take(_COMMAND)
    if command is None and not reading.wrong:
        reading.wrong["command",] = "a value: the key is required"
    method = BootstrapMethod(
        name=name,
        command=command or "",
        no_params=reading.take(_NO_PARAMS),
        keep_existing_recovery_conf=reading.take(_KEEP),
        recovery_conf=reading.take(_RECOVERY),
        options=reading.take_rest(convert.argument, without=_OWN_METHOD_KEYS),
    )
    if reading.wrong:
        raise WrongValueError(reading.wrong)
    return method


def restore_method(name: str, section: Mapping[str, Any]) -> BootstrapMethod:
    """Read the section of a method that restores a backup by a plugin.

    :raises WrongValueError: with the wrong parts.
    """
    reading = Reading(section)
    keys = keys_of(BootstrapKeys)
    plugin, to, backup, inclusive, timeline, source, tablespaces = (reading.take(key) for key in keys)
    wrong = dict(reading.wrong)
    for key in section.keys() - {one.name for one in keys}:
        wrong[str(key),] = f"one of {', '.join(one.name for one in keys)}"
    target = RecoveryTarget()
    try:
        target = parse_target(to, inclusive=inclusive, timeline=timeline)
    except WrongValueError as error:
        wrong[BootstrapKeys.TO.name,] = str(error)
    if wrong:
        raise WrongValueError(wrong)
    restore = BootstrapRestore(plugin=plugin, target=target, backup=backup, source=source, tablespaces=tablespaces)
    return BootstrapMethod(
        name=name, command="", no_params=False, keep_existing_recovery_conf=False, recovery_conf={}, options={}, restore=restore
    )


class BootstrapSchema(SectionSchema):
    """Section ``bootstrap``."""

    dcs = fields.Nested(DynamicSchema)
    method = Converted(convert.word, load_default=_INITDB)
    initdb = Converted(initdb_options, load_default=())
    pg_hba = Converted(Shared.PG_HBA.convert, load_default=())
    post_bootstrap = Converted(convert.command)
    post_init = Converted(convert.command)
    users = Converted(lambda value: value)

    def welcomes(self, key: str, section: Mapping[str, Any]) -> bool:
        """The section of the method that is named is welcome."""
        return key == section.get("method")

    @validates_schema(pass_original=True)
    def check_method(self, data: Mapping[str, Any], original: Mapping[str, Any], **_: object) -> None:
        """Check the section of the method."""
        name = data["method"]
        if name != _INITDB and original.get(name) is not None:
            try:
                bootstrap_method(name, original[name])
            except WrongValueError as error:
                raise ValidationError({name: nested_messages(error)}) from error

    @post_load(pass_original=True)
    def freeze(self, data: dict[str, Any], original: Mapping[str, Any], **_: object) -> BootstrapSettings:
        """Return the section as a frozen value. A method without a section is initdb, as in the field."""
        name = data["method"]
        custom = name != _INITDB and original.get(name) is not None
        return BootstrapSettings(
            dcs=original.get("dcs") or {},
            method=bootstrap_method(name, original[name]) if custom else None,
            initdb=data["initdb"],
            pg_hba=data["pg_hba"],
            post_bootstrap=data.get("post_bootstrap") or data.get("post_init"),
        )
