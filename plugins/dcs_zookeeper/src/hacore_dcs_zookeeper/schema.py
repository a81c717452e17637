"""The schemas of the sections ``zookeeper`` and ``exhibitor``. Imported only where a configuration is read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.schema import Converted, Path, Secret, SectionSchema
from hacore_dcs_zookeeper.settings import ExhibitorSettings, ZookeeperSettings, address

PERMISSIONS: Final = ("CREATE", "READ", "WRITE", "DELETE", "ADMIN", "ALL")
_FILES: Final = ("cacert", "cert", "key")
_LAST_PORT: Final = 65535


class _Access(SectionSchema):
    """What both sections say of the way to the servers and of the rights there."""

    use_ssl = Converted(convert.flag, load_default=False)
    cacert = Converted(convert.word, load_default=None)
    cert = Converted(convert.word, load_default=None)
    key = Converted(convert.word, load_default=None)
    key_password = Secret(load_default=None)
    verify = Converted(convert.flag, load_default=True)
    set_acls = Converted(convert.mapped(convert.listed(convert.choice(*PERMISSIONS)), "principals, each with a list"), load_default=None)
    auth_data = Converted(convert.mapped(convert.word, "schemes with credentials"), load_default=None, metadata={"secret": True})

    @validates_schema
    def has_whole_credentials(self, data: dict[str, Any], **_: object) -> None:
        """Refuse half of a credential."""
        if data.get("key") is not None and data.get("cert") is None:
            raise ValidationError("cert beside key", "cert")

    def remarks(self, section: Mapping[str, Any], settings: ZookeeperSettings) -> Iterator[tuple[Path, str]]:
        """Say that files for encryption are of no use without it, and that rights of certificates shut out whoever shows none."""
        for name in _FILES:
            if section.get(name) and not settings.use_ssl:
                yield (name,), "is not used: nothing is encrypted (use_ssl: true)"
        if settings.set_acls and not (settings.use_ssl and settings.cert) and not settings.auth_data:
            yield ("set_acls",), "gives rights to certificates, and this member shows none (use_ssl with cert): it shuts itself out"


class _Exhibitor(SectionSchema):
    """Where the list of the servers is asked for."""

    hosts = Converted(convert.words_or_text, required=True)
    port = Converted(convert.whole(1, 65535), required=True)
    poll_interval = Converted(convert.number(minimum=1), load_default=300.0)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> object:
        """Return the frozen settings."""
        return _exhibitor(data)


class ZookeeperSchema(_Access):
    """``zookeeper: {hosts: [10.0.0.1:2181, 10.0.0.2:2181]}``."""

    hosts = Converted(convert.words_or_text, load_default=None)
    exhibitor = fields.Nested(_Exhibitor, load_default=None)  # an older form of the section ``exhibitor``

    @validates_schema
    def names_the_servers(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a section that does not say where the servers are."""
        if not data.get("hosts") and data.get("exhibitor") is None:
            raise ValidationError("where the servers are: a list of host:port", "hosts")
        if data.get("hosts") and data.get("exhibitor") is not None:
            raise ValidationError("hosts or exhibitor, not both", "exhibitor")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> ZookeeperSettings:
        """Return the settings that the plugin is built with."""
        places, slash, chroot = ",".join(data.pop("hosts") or ()).partition("/")
        hosts = tuple(address(place.strip()) for place in places.split(",") if place.strip())
        wrong = [host for host in hosts if not _is_host(host)]
        if wrong or (not hosts and data["exhibitor"] is None):
            raise ValidationError(f"a list of host:port, not {', '.join(map(repr, wrong)) or 'a path alone'}", "hosts")
        return ZookeeperSettings(
            hosts=hosts, chroot="/" + chroot.strip("/") if slash else "", exhibitor=data.pop("exhibitor"), **_frozen(data)
        )


class ExhibitorSchema(_Access, _Exhibitor):
    """``exhibitor: {hosts: [10.0.0.1, 10.0.0.2], port: 8181}``."""

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> ZookeeperSettings:
        """Return the settings that the plugin is built with."""
        found = _exhibitor({name: data.pop(name) for name in ("hosts", "port", "poll_interval")})
        return ZookeeperSettings(exhibitor=found, **_frozen(data))


def _is_host(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and (host.startswith("[") or ":" not in host) and port.isdecimal() and 0 < int(port) <= _LAST_PORT


def _exhibitor(data: dict[str, Any]) -> ExhibitorSettings:
    return ExhibitorSettings(hosts=data["hosts"], port=data["port"], poll_interval_s=data["poll_interval"])


def _frozen(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "set_acls": tuple((data["set_acls"] or {}).items()), "auth_data": tuple((data["auth_data"] or {}).items())}
