"""Keys of ``postgresql`` that both the local file and the dynamic configuration may carry; the local ones win.

Those of the local file alone (addresses, directories, passwords) stand in the schema of the section.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hacore import convert
from hacore.config.keys import Key, Reading, keys_of, mapping
from hacore.config.postgres_settings import METHOD_FLAGS, CallbackSettings, ReplicaMethod
from hacore.config.settings import ToolOption
from hacore.config.tool_options import basebackup_options
from hacore.convert import Parts, WrongValueError

LOCAL_ONLY: Final = frozenset({"connect_address", "proxy_address", "listen", "config_dir", "data_dir", "pgpass", "authentication"})
DYNAMIC_ONLY: Final = frozenset({"use_slots"})
TOOLS: Final = ("pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind")
CALLBACKS: Final = ("on_start", "on_stop", "on_restart", "on_reload", "on_role_change")
BASEBACKUP: Final = "basebackup"
_PARAMETER: Final = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*", re.ASCII)


def _named(value: object, names: Iterable[str], what: str) -> dict[str, Any]:
    found = {name: one for name, one in mapping(value).items() if one is not None}
    unknown: Parts = {(name,): f"one of the {what} {', '.join(names)}" for name in found if name not in names}
    if unknown:
        raise WrongValueError(unknown)
    return found


def _bin_name(value: object) -> dict[str, str]:
    return convert.mapped(convert.word)(_named(value, TOOLS, "programs"))


def _callbacks(value: object) -> CallbackSettings:
    return CallbackSettings(**convert.mapped(convert.command)(_named(value, CALLBACKS, "events")))


def parameters(value: object) -> dict[str, str | None]:
    """Server settings by lower-case name; ``None`` removes one."""
    if not isinstance(value, Mapping):
        raise WrongValueError("a mapping of server settings")
    found: dict[str, str | None] = {}
    wrong: Parts = {}
    for name, one in value.items():
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            wrong[str(name),] = "the name of a server setting"
            continue
        try:
            found[name.lower()] = None if one is None else convert.setting(one)
        except WrongValueError as error:
            wrong[name,] = str(error)
    if wrong:
        raise WrongValueError(wrong)
    return found


def _recovery_conf(value: object) -> dict[str, str]:
    return {name: one for name, one in parameters(value).items() if one is not None}


def _lines(value: object) -> tuple[str, ...]:
    return convert.listed(_line, "a list of lines")(value)


def _line(value: object) -> str:
    found = convert.text(value)
    if "\n" in found:
        raise WrongValueError("one line in each item")
    return found


class Shared:
    """Keys of ``postgresql`` that may stand in both places."""

    BIN_DIR = Key[str | None]("bin_dir", convert.word, None)
    BIN_NAME = Key[dict[str, str]]("bin_name", _bin_name, {})
    CONFIG_BASE_NAME = Key("config_base_name", convert.word, "postgresql")
    DATABASE = Key("database", convert.word, "postgres")
    KRBSRVNAME = Key[str | None]("krbsrvname", convert.word, None)
    CALLBACKS = Key("callbacks", _callbacks, CallbackSettings())
    CREATE_REPLICA_METHODS = Key[tuple[str, ...]](
        "create_replica_methods", convert.words_or_text, (BASEBACKUP,), aliases=("create_replica_method",)
    )
    BASEBACKUP = Key[tuple[ToolOption, ...]](BASEBACKUP, basebackup_options, ())
    RECOVERY_CONF = Key[dict[str, str]]("recovery_conf", _recovery_conf, {})
    CUSTOM_CONF = Key[str | None]("custom_conf", convert.word, None)
    PARAMETERS = Key[dict[str, str | None]]("parameters", parameters, {})
    PG_HBA = Key[tuple[str, ...] | None]("pg_hba", _lines, None)
    PG_IDENT = Key[tuple[str, ...] | None]("pg_ident", _lines, None)
    USE_UNIX_SOCKET = Key("use_unix_socket", convert.flag, default=False)
    USE_UNIX_SOCKET_REPL = Key("use_unix_socket_repl", convert.flag, default=False)
    PG_CTL_TIMEOUT = Key("pg_ctl_timeout", convert.seconds, 60.0, 0)
    USE_PG_REWIND = Key("use_pg_rewind", convert.flag, default=False)
    REMOVE_ON_REWIND_FAILURE = Key("remove_data_directory_on_rewind_failure", convert.flag, default=False)
    REMOVE_ON_DIVERGED_TIMELINES = Key("remove_data_directory_on_diverged_timelines", convert.flag, default=False)
    USE_SLOTS = Key("use_slots", convert.flag, default=True)
    PRE_PROMOTE = Key[str | None]("pre_promote", convert.command, None)
    BEFORE_STOP = Key[str | None]("before_stop", convert.command, None)


SHARED_KEYS: Final = keys_of(Shared)
SHARED_NAMES: Final = frozenset(name for key in SHARED_KEYS for name in key.names)
NAMES_OF: Final[Mapping[str, tuple[str, ...]]] = {name: key.names for key in SHARED_KEYS for name in key.names}


def method_names(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the replica methods that a section names, whether or not they can be read."""
    return Reading(section).take(Shared.CREATE_REPLICA_METHODS)


def replica_method(name: str, section: object) -> ReplicaMethod:
    """Read the section of one replica method.

    :raises WrongValueError: with the wrong parts.
    """
    found = convert.mapped(convert.argument, "a mapping with the method's options")(section)
    reading = Reading(mapping(section))
    command = reading.take(Key[str | None]("command", convert.command, None))
    flags = {flag: reading.take(Key(flag, convert.flag, default=False)) for flag in METHOD_FLAGS}
    if reading.wrong:
        raise WrongValueError(reading.wrong)
    options = {key: value for key, value in found.items() if key != "command"}
    return ReplicaMethod(name=name, command=command, options=options, **flags)
