"""The schema of the section ``consul``. Imported only where a configuration is read: the agent does without its library."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, post_load, validates, validates_schema

from hacore import convert
from hacore.http.address import endpoint_of_host
from hacore.schema import Converted, Path, Secret, SectionSchema
from hacore_dcs_consul.settings import ConsulSettings

_HOST: Final = "127.0.0.1"
_PLACES: Final = ("host", "hosts", "url")


def interval(value: object) -> str:
    """A duration, as Consul writes it."""
    return f"{convert.seconds(value):g}s"


class ConsulSchema(SectionSchema):
    """``consul: {host: 127.0.0.1:8500, register_service: true}``."""

    host = Converted(convert.word, load_default=None)
    hosts = Converted(convert.words_or_text, load_default=None)
    url = Converted(convert.word, load_default=None)
    port = Converted(convert.whole(1, 65535), load_default=8500)
    scheme = Converted(convert.choice("http", "https"), load_default="http")
    token = Secret(load_default=None)
    verify = Converted(convert.flag, load_default=True)
    cacert = Converted(convert.word, load_default=None)
    cert = Converted(convert.word, load_default=None)
    key = Converted(convert.word, load_default=None)
    dc = Converted(convert.word, load_default=None)
    consistency = Converted(convert.choice("default", "consistent", "stale"), load_default="default")
    checks = Converted(convert.words_or_text, load_default=())
    register_service = Converted(convert.flag, load_default=False)
    service_tags = Converted(convert.words_or_text, load_default=())
    service_check_interval = Converted(interval, load_default="5s")
    service_check_tls_server_name = Converted(convert.word, load_default=None)

    @validates("url")
    def is_url(self, value: str | None, **_: object) -> None:
        """Refuse what is no address of an agent."""
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValidationError("a URL with http or https and a host")

    @validates_schema
    def names_one_place(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a section that says in two ways where the agents are, or says half of a credential."""
        named = [place for place in _PLACES if data.get(place)]
        if len(named) > 1:
            raise ValidationError(f"one of {', '.join(_PLACES)}, not {' and '.join(named)}", named[1])
        if data.get("key") is not None and data.get("cert") is None:
            raise ValidationError("cert beside key", "cert")

    def remarks(self, section: Mapping[str, Any], settings: ConsulSettings) -> Iterator[tuple[Path, str]]:
        """Say that files for encryption are of no use without it."""
        if not any(one.startswith("https") for one in settings.endpoints):
            for name in ("cacert", "cert", "key"):
                if section.get(name):
                    yield (name,), "is not used: no agent is named with https (scheme: https)"

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> ConsulSettings:
        """Return the settings that the plugin is built with."""
        host, hosts, url, port, scheme = (data.pop(name) for name in ("host", "hosts", "url", "port", "scheme"))
        if url is not None:
            hosts = (url,)
        place = "url" if url is not None else "hosts" if hosts else "host"
        try:
            endpoints = tuple(endpoint_of_host(one, scheme=scheme, port=port) for one in hosts or (host or _HOST,))
        except convert.WrongValueError as error:
            raise ValidationError(str(error), place) from error
        return ConsulSettings(endpoints=endpoints, **data)
