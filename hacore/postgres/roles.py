"""The roles that the configuration names. Passwords go to the server already encrypted, and not into its log."""

from dataclasses import dataclass, field
from typing import Final

from hacore.config.settings import ConnectionSettings
from hacore.postgres.connection import Connection
from hacore.postgres.instance import Instance, superuser_name

_TIMEOUT_S: Final = 30.0
_QUIET: Final = (
    "SET log_statement TO 'none'",
    "SET log_min_duration_statement TO -1",
    "SET log_min_error_statement TO 'panic'",
    "SET synchronous_commit TO 'local'",
)
_FOR_REWIND: Final = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One role as it shall be."""

    name: str
    password: str | None = field(repr=False)
    attributes: str
    functions: tuple[str, ...] = ()


def quote_identifier(name: str) -> str:
    """Write a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def set_superuser_password(instance: Instance) -> None:
    """Give the superuser the configured password."""
    superuser = instance.settings.authentication.superuser
    if superuser.password:
        _ensure(instance, (Role(name=superuser_name(superuser), password=superuser.password, attributes="SUPERUSER LOGIN"),))


def create_roles(instance: Instance) -> None:
    """Create, or bring up to date, the role of replication and, where it is another, that of pg_rewind.

    :raises PostgresUnreachableError: the server refused, or did not answer.
    """
    authentication = instance.settings.authentication
    superuser = superuser_name(authentication.superuser)
    roles = [
        *_wanted(authentication.replication, superuser, "REPLICATION LOGIN", ()),
        *_wanted(authentication.rewind, superuser, "LOGIN", _FOR_REWIND),
    ]
    _ensure(instance, tuple(roles))


def _wanted(connection: ConnectionSettings, superuser: str, attributes: str, functions: tuple[str, ...]) -> list[Role]:
    if not connection.username or connection.username == superuser:
        return []
    return [Role(name=connection.username, password=connection.password, attributes=attributes, functions=functions)]


def _ensure(instance: Instance, roles: tuple[Role, ...]) -> None:
    session = instance.session(statement_timeout_s=_TIMEOUT_S, database="postgres")
    try:
        for statement in _QUIET:
            session.query(statement, timeout_s=_TIMEOUT_S)
        for role in roles:
            _ensure_one(session, role)
    finally:
        session.close()


def _ensure_one(session: Connection, role: Role) -> None:
    name = quote_identifier(role.name)
    exists = session.query("SELECT 1 FROM pg_roles WHERE rolname = %s", (role.name,), timeout_s=_TIMEOUT_S)
    verb = "ALTER" if exists else "CREATE"
    if role.password:
        secret = session.encrypted(role.name, role.password, timeout_s=_TIMEOUT_S)
        session.query(f"{verb} ROLE {name} WITH {role.attributes} PASSWORD %s", (secret,), timeout_s=_TIMEOUT_S)
    else:
        session.query(f"{verb} ROLE {name} WITH {role.attributes}", timeout_s=_TIMEOUT_S)
    for function in role.functions:
        session.query(f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {name}", timeout_s=_TIMEOUT_S)
