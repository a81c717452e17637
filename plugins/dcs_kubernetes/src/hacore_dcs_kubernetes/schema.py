"""The schema of the section ``kubernetes``. Imported only where a configuration is read: the agent does without its library."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, post_load, validates, validates_schema

from hacore import convert
from hacore.convert import WrongValueError
from hacore.schema import Converted, SectionSchema
from hacore_dcs_kubernetes.settings import ANNOTATIONS, LEASE, KubernetesSettings, Port

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")


def port(value: object) -> Port:
    """Read one port: a mapping with name, port and protocol."""
    if not isinstance(value, Mapping):
        raise WrongValueError("a mapping with name, port and protocol")
    name = value.get("name")
    return Port(
        name=None if name is None else convert.word(name),
        port=convert.whole(1, 65535)(value.get("port", 5432)),
        protocol=convert.choice(*_PROTOCOLS)(value.get("protocol", "TCP")),
    )


def codes(value: object) -> tuple[int, ...]:
    """Read HTTP codes: a list, or text with commas."""
    found = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
    return convert.listed(convert.whole(400, 599), "a list of HTTP codes")(found)


class KubernetesSchema(SectionSchema):
    """``kubernetes: {labels: {application: hacore}}``."""

    labels = Converted(convert.mapped(convert.text), required=True)
    scope_label = Converted(convert.word, load_default="cluster-name")
    role_label = Converted(convert.word, load_default="role")
    leader_label_value = Converted(convert.word, load_default="primary")
    follower_label_value = Converted(convert.word, load_default="replica")
    standby_leader_label_value = Converted(convert.word, load_default="primary")
    tmp_role_label = Converted(convert.word, load_default=None)
    namespace = Converted(convert.word, load_default="default")
    use_endpoints = Converted(convert.flag, load_default=False)
    lock = Converted(convert.choice(ANNOTATIONS, LEASE), load_default=ANNOTATIONS)
    pod_ip = Converted(convert.word, load_default=None)
    ports = Converted(convert.listed(port), load_default=(Port(),))
    bypass_api_service = Converted(convert.flag, load_default=False)
    cacert = Converted(convert.word, load_default=None)
    retriable_http_codes = Converted(codes, load_default=())
    context = Converted(convert.word, load_default=None)
    kubeconfig = Converted(convert.word, load_default=None)
    api_servers = Converted(convert.words_or_text, load_default=())
    bootstrap_labels = Converted(convert.mapped(convert.text), load_default={})

    @validates("api_servers")
    def are_urls(self, value: tuple[str, ...], **_: object) -> None:
        """Refuse what is no address of a server."""
        if not all(urlsplit(one).scheme in ("http", "https") and urlsplit(one).hostname for one in value):
            raise ValidationError("URLs with http or https and a host")

    @validates_schema
    def routes_somewhere(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a section whose leader could not be found by its clients, or that names two places for the lock."""
        if data.get("lock") == LEASE and data.get("use_endpoints"):
            raise ValidationError("lock: lease or use_endpoints, not both: the lock has one place", "lock")
        pod_ip = data.get("pod_ip")
        if pod_ip is None and (data.get("lock") == LEASE or data.get("use_endpoints")):
            raise ValidationError("the address of this pod: clients are sent there while it leads", "pod_ip")
        if pod_ip is not None and not _is_address(pod_ip):
            raise ValidationError("an IP address", "pod_ip")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> KubernetesSettings:
        """Return the settings that the plugin is built with."""
        for name in ("labels", "bootstrap_labels"):
            data[name] = tuple(sorted(data[name].items()))
        return KubernetesSettings(**data)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
