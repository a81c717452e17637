"""The section ``consul``: what is taken, and what is refused with a sentence that helps."""

import subprocess
import sys
from typing import Any

import pytest
from marshmallow import ValidationError

from hacore_dcs_consul.plugin import ConsulPlugin
from hacore_dcs_consul.schema import ConsulSchema
from hacore_dcs_consul.settings import ConsulSettings


def load(**section: Any) -> ConsulSettings:
    settings = ConsulPlugin.hacore_config_schema()().load(section)
    assert isinstance(settings, ConsulSettings)
    return settings


@pytest.mark.parametrize(
    ("section", "endpoints"),
    [
        ({}, ("http://127.0.0.1:8500",)),
        ({"host": "10.0.0.1:8501"}, ("http://10.0.0.1:8501",)),
        ({"host": "consul.example", "port": 8600, "scheme": "https"}, ("https://consul.example:8600",)),
        ({"host": "fe80::1"}, ("http://[fe80::1]:8500",)),
        ({"host": "[fe80::1]:1"}, ("http://[fe80::1]:1",)),
        ({"url": "https://consul.example"}, ("https://consul.example:8500",)),
        ({"url": "http://[fe80::1]:1"}, ("http://[fe80::1]:1",)),
        ({"hosts": "127.0.0.1, 10.0.0.2:1"}, ("http://127.0.0.1:8500", "http://10.0.0.2:1")),
        ({"hosts": ["127.0.0.1", "https://10.0.0.2:1"]}, ("http://127.0.0.1:8500", "https://10.0.0.2:1")),
    ],
)
def test_the_agents_are_found_in_each_spelling_of_the_field(section: dict[str, Any], endpoints: tuple[str, ...]) -> None:
    assert load(**section).endpoints == endpoints


def test_what_is_not_said_is_as_in_the_field() -> None:
    assert load() == ConsulSettings(endpoints=("http://127.0.0.1:8500",))


def test_every_key_arrives() -> None:
    section = {
        "token": "t", "verify": "off", "cacert": "/ca", "cert": "/cert", "key": "/key", "dc": "east", "consistency": "Stale",
        "checks": ["serfHealth"], "register_service": "on", "service_tags": "a,b", "service_check_interval": "1min",
        "service_check_tls_server_name": "db",
    }  # fmt: skip
    assert load(**section) == ConsulSettings(
        endpoints=("http://127.0.0.1:8500",), token="t", verify=False, cacert="/ca", cert="/cert", key="/key", dc="east",
        consistency="stale", checks=("serfHealth",), register_service=True, service_tags=("a", "b"), service_check_interval="60s",
        service_check_tls_server_name="db",
    )  # fmt: skip


def test_the_token_is_not_shown() -> None:
    assert "hidden" not in repr(load(token="hidden"))


@pytest.mark.parametrize(
    ("section", "key", "sentence"),
    [
        ({"host": "a", "hosts": "b"}, "hosts", "one of host, hosts, url, not host and hosts"),
        ({"host": "a", "url": "http://b"}, "url", "not host and url"),
        ({"url": "ftp://a"}, "url", "http or https"),
        ({"consistency": "eventual"}, "consistency", "one of default, consistent, stale"),
        ({"key": "/key"}, "cert", "cert beside key"),
        ({"port": 0}, "port", "1 to 65535"),
        ({"service_check_interval": "often"}, "service_check_interval", "seconds"),
    ],
)
def test_what_is_wrong_is_said_with_the_key(section: dict[str, Any], key: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**section)
    assert isinstance(caught.value.messages, dict)
    assert sentence in str(caught.value.messages[key])


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ({"cacert": "/ca", "cert": "/cert", "key": "/key"}, ["cacert", "cert", "key"]),
        ({"url": "http://a", "cacert": "/ca"}, ["cacert"]),
        ({"url": "https://a", "cacert": "/ca"}, []),
        ({"host": "a", "scheme": "https", "cacert": "/ca"}, []),
    ],
)
def test_files_that_are_not_used_are_said(section: dict[str, Any], keys: list[str]) -> None:
    schema = ConsulSchema()
    assert [path for path, _ in schema.remarks(section, schema.load(section))] == [(key,) for key in keys]


def test_the_agent_loads_neither_the_schema_s_library_nor_another_http_client() -> None:
    program = "import sys, hacore_dcs_consul.plugin as p; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint({"marshmallow", "requests", "urllib3", "yaml", "psycopg2", "sqlite3", "asyncio", "consul"})
