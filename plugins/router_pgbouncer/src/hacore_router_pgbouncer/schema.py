"""The schema of the section ``pgbouncer``. Imported only where a configuration is read: the agent does without its library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from hacore import convert
from hacore.convert import WrongValueError
from hacore.schema import Converted, Secret, SectionSchema
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings


def one_console(value: object) -> str:
    """Read a connection string of an admin console; database and user have their usual names where it does not say."""
    text = convert.word(value)
    try:
        found = parse_dsn(text)
    except ProgrammingError as error:
        raise WrongValueError("a connection string of libpq: host=/run/postgresql port=6432") from error
    if "password" in found:
        raise WrongValueError("a connection string without a password: it stands in the key password")
    return text


def several_consoles(value: object) -> tuple[str, ...]:
    """Read one or several of them."""
    return (one_console(value),) if isinstance(value, str) else convert.listed(one_console)(value)


def own_consoles(value: object) -> tuple[str, ...]:
    """Read at least one of them."""
    found = several_consoles(value)
    if not found:
        raise WrongValueError("a connection string, or a list of them")
    return found


def _name(value: object) -> str:
    found = convert.word(value)
    if not found.isascii() or not all(one.isalnum() or one in "_.-" for one in found) or found == "pgbouncer":
        raise WrongValueError("a name of letters, digits and _.- as PgBouncer's files have it, not pgbouncer")
    return found


def read_databases(value: object) -> tuple[Database, ...]:
    """Read names, or a mapping of names to what their lines say."""
    if not isinstance(value, Mapping):
        names = convert.listed(_name)(list(convert.words_or_text(value)))
        return tuple(Database(name=name, dbname=name) for name in names)
    found = []
    for key, one in value.items():
        name, said = _name(key), {} if one is None else one
        if not isinstance(said, Mapping) or set(said) - {"dbname", "options"}:
            raise WrongValueError({(name,): "a mapping with dbname and options"})
        found.append(Database(name=name, dbname=_name(said.get("dbname", name)), options=convert.line(said.get("options", ""))))
    return tuple(found)


class PgbouncerSchema(SectionSchema):
    """``pgbouncer: {databases: [app], databases_file: /etc/pgbouncer/hacore.ini}``."""

    consoles = Converted(own_consoles, data_key="console", load_default=("host=/run/postgresql port=6432",))
    password = Secret(load_default=None)
    databases = Converted(read_databases, required=True)
    standby_databases = Converted(read_databases, load_default=())
    databases_file = Converted(convert.word, load_default=None)
    drain_consoles = Converted(several_consoles, load_default=())
    without_leader = Converted(convert.choice("wait", "fail"), load_default="wait")
    timeout_s = Converted(convert.seconds, data_key="timeout", load_default=PgbouncerSettings.timeout_s)

    @validates_schema
    def has_what_it_needs(self, data: dict[str, Any], **_: object) -> None:
        """Refuse databases that nobody could lead anywhere, and names that stand twice."""
        names = [one.name for one in (*data.get("databases", ()), *data.get("standby_databases", ()))]
        if not data.get("databases"):
            raise ValidationError("at least one database", "databases")
        if len(names) > len(set(names)):
            raise ValidationError("each name once, also across databases and standby_databases", "databases")
        if data.get("standby_databases") and data.get("databases_file") is None:
            raise ValidationError("databases_file beside it: nothing else leads them anywhere", "standby_databases")
        if data.get("databases_file") is not None and not Path(data["databases_file"]).is_absolute():
            raise ValidationError("an absolute path", "databases_file")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> PgbouncerSettings:
        """Return the settings that the plugin is built with."""
        path = data.pop("databases_file")
        waits = data.pop("without_leader") == "wait"
        return PgbouncerSettings(**data, databases_file=Path(path) if path else None, waits_without_leader=waits)
