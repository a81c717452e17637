"""The schema of the section ``etcd3``. Imported only where a configuration is read: the agent does without its library."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, post_load, validates, validates_schema

from hacore import convert
from hacore.http.address import endpoint_of_host
from hacore.schema import Converted, Path, Secret, SectionSchema
from hacore_dcs_etcd.settings import EtcdSettings

_PLACES: Final = ("proxy", "hosts", "host", "url", "srv")  # the first one counts
_URLS: Final = ("proxy", "url")
_PORT: Final = 2379


def _name_server(value: object) -> tuple[str, int]:
    text = convert.word(value)
    try:
        parts = urlsplit(f"//[{text}]" if text.count(":") > 1 and "[" not in text else f"//{text}")
        return str(ipaddress.ip_address(parts.hostname or "")), parts.port or 53
    except ValueError as error:
        raise convert.WrongValueError("the IP address of a name server, with :PORT where that is not 53") from error


class EtcdSchema(SectionSchema):
    """``etcd3: {hosts: [10.0.0.1:2379, 10.0.0.2:2379]}``."""

    host = Converted(convert.word, load_default=None)
    hosts = Converted(convert.words_or_text, load_default=None)
    url = Converted(convert.word, load_default=None)
    proxy = Converted(convert.word, load_default=None)
    srv = Converted(convert.word, load_default=None)
    srv_suffix = Converted(convert.word, load_default=None)
    srv_nameserver = Converted(_name_server, load_default=None)
    port = Converted(convert.whole(1, 65535), load_default=_PORT)
    protocol = Converted(convert.choice("http", "https"), load_default="http")
    use_proxies = Converted(convert.flag, load_default=False)
    username = Converted(convert.word, load_default=None)
    password = Secret(load_default=None)
    cacert = Converted(convert.word, load_default=None)
    cert = Converted(convert.word, load_default=None)
    key = Converted(convert.word, load_default=None)

    @validates("url", "proxy")
    def is_url(self, value: str | None, **_: object) -> None:
        """Refuse what is no address of a server."""
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValidationError("a URL with http or https and a host")

    @validates_schema
    def names_a_place(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a section that does not say where the servers are, or says half of a credential."""
        if not any(data.get(place) for place in _PLACES):
            raise ValidationError(f"where the servers are: one of {', '.join(sorted(_PLACES))}", "hosts")
        if data.get("srv") is None:
            for name in ("srv_suffix", "srv_nameserver"):
                if data.get(name) is not None:
                    raise ValidationError("srv beside it", name)
        if (data.get("username") is None) != (data.get("password") is None):
            raise ValidationError("both username and password, or neither", "username")
        if data.get("key") is not None and data.get("cert") is None:
            raise ValidationError("cert beside key", "cert")

    def remarks(self, section: Mapping[str, Any], settings: EtcdSettings) -> Iterator[tuple[Path, str]]:
        """Say which of two places counts, and that files for encryption are of no use without it."""
        used, *others = [place for place in _PLACES if section.get(place)]
        for place in others:
            yield (place,), f"{used} stands beside it and wins"
        if settings.srv is None and not any(one.startswith("https") for one in settings.endpoints):
            for name in ("cacert", "cert", "key"):
                if section.get(name):
                    yield (name,), "is not used: no server is named with https (protocol: https)"

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> EtcdSettings:
        """Return the settings that the plugin is built with."""
        scheme = "https" if data["protocol"] == "https" else "http"
        place = next((name for name in _PLACES[:-1] if data[name]), None)
        named = () if place is None else data[place] if place == "hosts" else (data[place],)
        try:
            endpoints = tuple(endpoint_of_host(one, scheme=scheme, port=_PORT if place in _URLS else data["port"]) for one in named)
        except convert.WrongValueError as error:
            raise ValidationError(str(error), place or "hosts") from error
        srv = None if endpoints else data["srv"]
        credentials = {name: data[name] for name in ("username", "password", "cacert", "cert", "key")}
        return EtcdSettings(
            endpoints=endpoints,
            srv=srv,
            srv_suffix=data["srv_suffix"],
            srv_nameserver=data["srv_nameserver"],
            discover=not (data["use_proxies"] or data["proxy"]),
            **credentials,
        )
