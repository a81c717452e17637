"""The schema of the section ``etcd3``. Imported only where a configuration is read: the agent does without its library."""

import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, post_load, validates, validates_schema

from hacore import convert
from hacore.schema import Converted, Secret, SectionSchema
from hacore_dcs_etcd.settings import EtcdSettings

_PLACES: Final = ("hosts", "host", "url", "proxy", "srv")


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
    port = Converted(convert.whole(1, 65535), load_default=2379)
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
            raise ValidationError(f"where the servers are: one of {', '.join(_PLACES)}", "hosts")
        if data.get("srv") is None:
            for name in ("srv_suffix", "srv_nameserver"):
                if data.get(name) is not None:
                    raise ValidationError("srv beside it", name)
        if (data.get("username") is None) != (data.get("password") is None):
            raise ValidationError("both username and password, or neither", "username")
        if data.get("key") is not None and data.get("cert") is None:
            raise ValidationError("cert beside key", "cert")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> EtcdSettings:
        """Return the settings that the plugin is built with."""
        scheme = "https" if data["protocol"] == "https" else "http"
        if data["proxy"] is not None:
            endpoints: tuple[str, ...] = (_from_url(data["proxy"]),)
        elif data["hosts"]:
            endpoints = tuple(_from_host(host, scheme, data["port"]) for host in data["hosts"])
        elif data["host"] is not None:
            endpoints = (_from_host(data["host"], scheme, data["port"]),)
        else:
            endpoints = () if data["url"] is None else (_from_url(data["url"]),)
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


def _from_host(host: str, scheme: str, port: int) -> str:
    if "://" in host:
        return _from_url(host)
    if host.startswith("["):
        has_port = host.rpartition("]")[2].startswith(":")
    elif host.count(":") > 1:  # an IPv6 address without brackets
        host, has_port = f"[{host}]", False
    else:
        has_port = ":" in host
    return f"{scheme}://{host}" if has_port else f"{scheme}://{host}:{port}"


def _from_url(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or 2379}"
