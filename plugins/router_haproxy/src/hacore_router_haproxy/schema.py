"""The schema of the section ``haproxy``. Imported only where a configuration is read: the agent does without its library."""

import shlex
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.convert import WrongValueError
from hacore.schema import Converted, SectionSchema
from hacore_router_haproxy.settings import HaproxySettings, Site
from hacore_router_haproxy.wire import MARKER, address_of

_HIGHEST_PORT: Final = 65535
_FILE: Final = "{file}"


def sockets(value: object) -> tuple[str, ...]:
    """One or several places of runtime APIs."""
    found = convert.words_or_text(value)
    if not found:
        raise WrongValueError("a path or host:port, or a list of them")
    for one in found:
        place(one)
    return found


def place(value: object) -> str:
    """The place of a runtime API."""
    found = convert.word(value)
    if address_of(found) is None:
        raise WrongValueError("a path that begins with /, or host:port")
    return found


def file_path(value: object) -> str:
    """The path of a file, from the root."""
    found = convert.word(value)
    if not found.startswith("/") or any(character.isspace() or character in "\"'\\#$" for character in found):
        raise WrongValueError("a path that begins with /, without blanks, quotes, backslashes, # and $")
    return found


def token(value: object) -> str:
    """A name as HAProxy takes it."""
    found = convert.word(value)
    if not found.isascii() or not all(one.isalnum() or one in "-_.:" for one in found) or found == MARKER:
        raise WrongValueError("a name of letters, digits and -_.:")
    return found


def command(value: object) -> tuple[str, ...]:
    """A program and its arguments: text as for a shell, or a list."""
    if isinstance(value, list | tuple):
        found = convert.listed(convert.word)(value)
        if not found:
            raise WrongValueError("a program")
        return found
    return tuple(shlex.split(convert.command(value)))


def optional_port(value: object) -> int | None:
    """A port, or off."""
    if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() == "off"):
        if value is True:
            raise WrongValueError(f"a port from 1 to {_HIGHEST_PORT}, or off")
        return None
    return convert.whole(1, _HIGHEST_PORT)(value)


def duration(value: object) -> float:
    """A duration that is longer than nothing."""
    found = convert.seconds(value)
    if found <= 0:
        raise WrongValueError("seconds, more than 0")
    return found


class SiteSchema(SectionSchema):
    """``config: {path: /etc/haproxy/haproxy.cfg, reload_command: systemctl reload haproxy}``."""

    path = Converted(file_path, required=True)
    template = Converted(file_path, load_default=None)
    check_command = Converted(command, load_default=Site.check_command)
    reload_command = Converted(command, load_default=())
    server_state_file = Converted(file_path, load_default="")
    hold_script = Converted(file_path, load_default="")
    primary_bind = Converted(convert.word, load_default=Site.primary_bind)
    standby_bind = Converted(convert.word, load_default=Site.standby_bind)
    rest_port = Converted(optional_port, load_default=Site.rest_port)
    check_options = Converted(convert.line, load_default=Site.check_options)
    socket_options = Converted(convert.line, load_default=Site.socket_options)
    max_connections = Converted(convert.whole(1), load_default=Site.max_connections)
    max_server_connections = Converted(convert.whole(1), load_default=Site.max_server_connections)
    connect_timeout_s = Converted(duration, data_key="connect_timeout", load_default=Site.connect_timeout_s)
    idle_timeout_s = Converted(duration, data_key="idle_timeout", load_default=Site.idle_timeout_s)
    hold_limit_s = Converted(duration, data_key="hold_limit", load_default=Site.hold_limit_s)

    @validates_schema
    def names_what_is_checked(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a check of something else."""
        if not any(_FILE in word for word in data.get("check_command", ())):
            raise ValidationError(f"{_FILE} in the command, for the file to be checked", "check_command")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> Site:
        """Return the settings, with the files that stand beside the configuration where nothing else is said."""
        directory = Path(data["path"]).parent
        data["server_state_file"] = data["server_state_file"] or str(directory / "hacore.state")
        data["hold_script"] = data["hold_script"] or str(directory / "hacore-hold.lua")
        return Site(**data)


class HaproxySchema(SectionSchema):
    """``haproxy: {stats_socket: /run/haproxy/admin.sock}``."""

    stats_sockets = Converted(sockets, data_key="stats_socket", required=True)
    master_socket = Converted(place, load_default=None)
    primary_backend = Converted(token, load_default=HaproxySettings.primary_backend)
    standby_backend = Converted(token, load_default=HaproxySettings.standby_backend)
    standbys = Converted(convert.flag, load_default=True)
    reads_from_leader = Converted(convert.choice("never", "alone", "always"), load_default=HaproxySettings.reads_from_leader)
    hold = Converted(convert.flag, load_default=None)
    drain_wait_s = Converted(convert.seconds, data_key="drain_wait", load_default=HaproxySettings.drain_wait_s)
    drain_sessions = Converted(convert.choice("leave", "cut"), load_default=HaproxySettings.drain_sessions)
    timeout_s = Converted(duration, data_key="timeout", load_default=HaproxySettings.timeout_s)
    config = fields.Nested(SiteSchema, load_default=None)

    @validates_schema
    def is_one_proxy_where_it_must_be(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a configuration or a master for several proxies, and a reload in two ways or none."""
        several, site = len(data["stats_sockets"]) > 1, data.get("config")
        if several and data.get("master_socket") is not None:
            raise ValidationError("one stats_socket beside it", "master_socket")
        if site is None:
            return
        if several:
            raise ValidationError("one stats_socket beside it", "config")
        if bool(site.reload_command) == (data.get("master_socket") is not None):
            raise ValidationError("either reload_command here or master_socket beside it", "config")
        if data["primary_backend"] == data["standby_backend"]:
            raise ValidationError("another name than primary_backend", "standby_backend")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> HaproxySettings:
        """Return the settings that the plugin is built with."""
        if not data.pop("standbys"):
            data["standby_backend"] = None
        if data["hold"] is None:
            data["hold"] = data["config"] is not None  # in a configuration of somebody else we do not know
        return HaproxySettings(**data)
