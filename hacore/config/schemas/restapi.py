"""Sections ``restapi`` and ``ctl``: the server of this node, and the client that asks other members'."""

import re
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.config.address import HostPort, parse_host_port
from hacore.config.settings import Credentials, CtlSettings, RestApiSettings
from hacore.convert import WrongValueError
from hacore.schema import Converted, Secret, SectionSchema

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SMALLEST_POOL: Final = 5


def address(value: object) -> HostPort:
    """Read ``host:port``; no host means every address, as ``*`` does."""
    try:
        found = parse_host_port(convert.text(value))
    except ValueError as error:
        raise WrongValueError(str(error)) from error
    return found if found.host else HostPort("*", found.port)


def reachable(value: object) -> HostPort:
    """Read an address that others connect to."""
    found = address(value)
    if found.is_wildcard():
        raise WrongValueError("an address that other members can reach, not one to listen on")
    return found


def _headers(value: object) -> dict[str, str]:
    found = convert.mapped(convert.text)(value)
    wrong: convert.Parts = {(name,): "the name of an HTTP header" for name in found if not _HEADER_NAME.fullmatch(name)}
    wrong |= {(name,): "the value of an HTTP header, on one line" for name, one in found.items() if not _HEADER_VALUE.fullmatch(one)}
    if wrong:
        raise WrongValueError(wrong)
    return found


class CredentialsSchema(SectionSchema):
    """A user and its password; neither is of use alone."""

    username = Converted(convert.word, required=True)
    password = Secret(required=True)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> Credentials:
        """Return the section as a frozen value."""
        return Credentials(**data)


class RestApiSchema(SectionSchema):
    """Section ``restapi``."""

    listen = Converted(address, required=True)
    connect_address = Converted(reachable, load_default=None)
    authentication = fields.Nested(CredentialsSchema, load_default=None)
    certfile = Converted(convert.word, load_default=None)
    keyfile = Converted(convert.word, load_default=None)
    keyfile_password = Secret(load_default=None)
    cafile = Converted(convert.word, load_default=None)
    ciphers = Converted(convert.word, load_default=None)
    verify_client = Converted(convert.choice("none", "optional", "required"), load_default="none")
    allowlist = Converted(convert.words_or_text, load_default=())
    allowlist_include_members = Converted(convert.flag, load_default=False)
    http_extra_headers = Converted(_headers, load_default=dict)
    https_extra_headers = Converted(_headers, load_default=dict)
    request_queue_size = Converted(convert.whole(0, 4096), load_default=5)
    thread_pool_size = Converted(convert.whole(1), load_default=_SMALLEST_POOL)
    server_tokens = Converted(convert.choice("original", "minimal", "productonly"), load_default="original")

    @validates_schema
    def check_together(self, data: Mapping[str, Any], **_: object) -> None:
        """Find what is wrong only in combination."""
        if data["connect_address"] is None and data["listen"].is_wildcard():
            wanted = "an address that other members can reach: listen names every address of this machine"
            raise ValidationError(wanted, "connect_address")
        if data["verify_client"] != "none" and not (data["cafile"] and data["certfile"]):
            raise ValidationError("certfile and cafile beside it: client certificates are checked against the CA", "verify_client")
        if data["keyfile"] and not data["certfile"]:
            raise ValidationError("a certfile beside it", "keyfile")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> RestApiSettings:
        """Return the section as a frozen value."""
        data["connect_address"] = data["connect_address"] or data["listen"]
        data["thread_pool_size"] = max(data["thread_pool_size"], _SMALLEST_POOL)
        return RestApiSettings(**data)


class CtlSchema(SectionSchema):
    """Section ``ctl``. What it inherits from ``restapi`` is filled in where both are known."""

    authentication = fields.Nested(CredentialsSchema, load_default=None)
    insecure = Converted(convert.flag, load_default=False)
    cacert = Converted(convert.word, load_default=None)
    certfile = Converted(convert.word, load_default=None)
    keyfile = Converted(convert.word, load_default=None)
    keyfile_password = Secret(load_default=None)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> CtlSettings:
        """Return the section as a frozen value."""
        return CtlSettings(**data)
