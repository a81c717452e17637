"""Section ``postgresql`` of the local file: addresses, directories and passwords, and every key that it shares with the dynamic part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marshmallow import EXCLUDE, ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.config.address import WILDCARD_HOSTS, HostPort, parse_host_port, parse_listen
from hacore.config.postgresql_keys import BASEBACKUP, SHARED_KEYS, SHARED_NAMES, method_names, replica_method
from hacore.config.settings import AuthenticationSettings, ConnectionSettings, LocalPostgresql
from hacore.convert import WrongValueError
from hacore.schema import Converted, Secret, SectionSchema, nested_messages

_PORT: Final = 5432
_LIBPQ: Final = ("sslmode", "sslkey", "sslcert", "sslrootcert", "sslcrl", "sslcrldir", "sslnegotiation", "gssencmode", "channel_binding")


def _listen(value: object) -> tuple[tuple[str, ...], int]:
    try:
        return parse_listen(convert.word(value), default_port=_PORT)
    except WrongValueError:
        raise
    except ValueError as error:
        raise WrongValueError(str(error)) from error


def _reachable(value: object) -> HostPort:
    try:
        found = parse_host_port(convert.word(value), default_port=_PORT)
    except WrongValueError:
        raise
    except ValueError as error:
        raise WrongValueError(str(error)) from error
    if found.is_wildcard():
        raise WrongValueError("an address that other members can reach, not one to listen on")
    return found


def absolute(value: object) -> str:
    """Read a path and make it mean the same in every process; it is taken from the directory in which hacore is started."""
    return str(Path(convert.word(value)).expanduser().absolute())


class ConnectionSchema(SectionSchema):
    """Who connects, and how: one of ``postgresql.authentication``."""

    username = Converted(convert.word, load_default=None)
    password = Secret(load_default=None)
    sslmode = Converted(convert.choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), load_default=None)
    sslkey = Converted(convert.word, load_default=None)
    sslpassword = Secret(load_default=None)
    sslcert = Converted(convert.word, load_default=None)
    sslrootcert = Converted(convert.word, load_default=None)
    sslcrl = Converted(convert.word, load_default=None)
    sslcrldir = Converted(convert.word, load_default=None)
    sslnegotiation = Converted(convert.choice("postgres", "direct"), load_default=None)
    gssencmode = Converted(convert.choice("disable", "prefer", "require"), load_default=None)
    channel_binding = Converted(convert.choice("disable", "prefer", "require"), load_default=None)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> ConnectionSettings:
        """Return the section as a frozen value."""
        return ConnectionSettings(
            username=data["username"],
            password=data["password"],
            sslpassword=data["sslpassword"],
            options={name: data[name] for name in _LIBPQ if data[name] is not None},
        )


class ReplicationSchema(ConnectionSchema):
    """As ConnectionSchema, for the role that standbys stream with, which must have a name of its own."""

    username = Converted(convert.word, required=True)


class AuthenticationSchema(SectionSchema):
    """Section ``postgresql.authentication``."""

    superuser = fields.Nested(ConnectionSchema, required=True)
    replication = fields.Nested(ReplicationSchema, required=True)
    rewind = fields.Nested(ReplicationSchema, load_default=None)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> AuthenticationSettings:
        """Return the section as a frozen value."""
        return AuthenticationSettings(
            superuser=data["superuser"], replication=data["replication"], rewind=data["rewind"] or data["superuser"]
        )


_SHARED: Final = {
    name: Converted(key.convert, load_default=key.default) if name == key.name else Converted(key.convert)
    for key in SHARED_KEYS
    for name in key.names
}


class PostgresqlSchema(SectionSchema):
    """Section ``postgresql``."""

    class Meta:
        """Keys that both places share come from their table."""

        unknown = EXCLUDE
        include = _SHARED

    listen = Converted(_listen, required=True)
    connect_address = Converted(_reachable, load_default=None)
    proxy_address = Converted(_reachable, load_default=None)
    data_dir = Converted(absolute, required=True)
    config_dir = Converted(absolute, load_default=None)
    pgpass = Converted(convert.word, load_default="~/pgpass")
    authentication = fields.Nested(AuthenticationSchema, required=True)

    def welcomes(self, key: str, section: Mapping[str, Any]) -> bool:
        """Sections of the methods that ``create_replica_methods`` names are welcome."""
        return key in method_names(section)

    @validates_schema(pass_original=True)
    def check_together(self, data: Mapping[str, Any], original: Mapping[str, Any], **_: object) -> None:
        """Find what is wrong only in combination."""
        if data["connect_address"] is None and data["listen"][0][0] in WILDCARD_HOSTS:
            wanted = "an address that other members can reach: listen names every address of this machine"
            raise ValidationError(wanted, "connect_address")
        wrong: dict[str, Any] = {}
        for name in sorted(_method_sections(original)):
            try:
                replica_method(name, original[name])
            except WrongValueError as error:
                wrong[name] = nested_messages(error)
        if wrong:
            raise ValidationError(wrong)

    @post_load(pass_original=True)
    def freeze(self, data: dict[str, Any], original: Mapping[str, Any], **_: object) -> LocalPostgresql:
        """Return the section as a frozen value."""
        hosts, port = data["listen"]
        kept = SHARED_NAMES | _method_sections(original)
        return LocalPostgresql(
            listen_addresses=hosts,
            port=port,
            connect_address=data["connect_address"] or HostPort(hosts[0], port),
            proxy_address=data["proxy_address"],
            data_dir=data["data_dir"],
            config_dir=data["config_dir"] or data["data_dir"],
            pgpass=str(Path(data["pgpass"]).expanduser()),
            authentication=data["authentication"],
            values={name: value for name, value in original.items() if name in kept and value is not None},
        )


def _method_sections(section: Mapping[str, Any]) -> set[str]:
    return {name for name in method_names(section) if name != BASEBACKUP and name not in SHARED_NAMES and section.get(name) is not None}
