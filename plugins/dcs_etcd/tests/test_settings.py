"""The section ``etcd3``."""

import subprocess
import sys

import pytest

from hacore.schema import check
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.schema import EtcdSchema
from hacore_dcs_etcd.settings import EtcdSettings

PLACES = {
    "host": ({"host": "10.0.0.1:2380"}, ("http://10.0.0.1:2380",)),
    "host without port": ({"host": "etcd.example", "port": 4001}, ("http://etcd.example:4001",)),
    "list": ({"hosts": ["a:1", "b"]}, ("http://a:1", "http://b:2379")),
    "text": ({"hosts": "a:1, b:2"}, ("http://a:1", "http://b:2")),
    "https": ({"hosts": ["a:1"], "protocol": "https"}, ("https://a:1",)),
    "IPv6": ({"hosts": ["[::1]:2379", "[fe80::1]", "fe80::2"]}, ("http://[::1]:2379", "http://[fe80::1]:2379", "http://[fe80::2]:2379")),
    "url": ({"url": "https://etcd.example:2379/"}, ("https://etcd.example:2379",)),
    "url without port": ({"url": "http://[::1]"}, ("http://[::1]:2379",)),
    "hosts as URLs": ({"hosts": ["http://a:1"]}, ("http://a:1",)),
}


@pytest.mark.parametrize(("section", "endpoints"), PLACES.values(), ids=PLACES.keys())
def test_the_servers_can_be_named_in_each_way_of_the_field(section: dict[str, object], endpoints: tuple[str, ...]) -> None:
    settings = EtcdSchema().load(section)
    assert isinstance(settings, EtcdSettings)
    assert (settings.endpoints, settings.discover) == (endpoints, True)


def test_the_servers_can_be_left_to_dns() -> None:
    settings = EtcdSchema().load({"srv": "example.com", "srv_suffix": "green", "srv_nameserver": "127.0.0.1:8600"})
    assert isinstance(settings, EtcdSettings)
    assert (settings.endpoints, settings.srv, settings.srv_suffix) == ((), "example.com", "green")
    assert settings.srv_nameserver == ("127.0.0.1", 8600)
    assert EtcdSchema().load({"srv": "example.com", "srv_nameserver": "::1"}).srv_nameserver == ("::1", 53)


def test_servers_that_are_named_go_before_dns() -> None:
    settings = EtcdSchema().load({"srv": "example.com", "host": "a"})
    assert (settings.endpoints, settings.srv) == (("http://a:2379",), None)


def test_members_behind_proxies_are_not_asked_for() -> None:
    assert not EtcdSchema().load({"hosts": ["a:1"], "use_proxies": "on"}).discover
    assert not EtcdSchema().load({"proxy": "http://a:1"}).discover


WRONG = {
    "nothing": ({}, "hosts"),
    "half a credential": ({"host": "a", "username": "u"}, "username"),
    "a key without its certificate": ({"host": "a", "key": "/k"}, "cert"),
    "no URL": ({"url": "etcd.example"}, "url"),
    "another protocol": ({"host": "a", "protocol": "ftp"}, "protocol"),
    "a port that is none": ({"host": "a", "port": 70000}, "port"),
    "a suffix of nothing": ({"host": "a", "srv_suffix": "green"}, "srv_suffix"),
    "a name server that is a name": ({"srv": "example.com", "srv_nameserver": "ns.example.com"}, "srv_nameserver"),
    "a name server for nothing": ({"host": "a", "srv_nameserver": "10.0.0.1"}, "srv_nameserver"),
}


@pytest.mark.parametrize(("section", "key"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_work_is_refused_at_its_key(section: dict[str, object], key: str) -> None:
    assert list(check(EtcdSchema(), section)) == [(key,)]


REMARKS = {
    "two places": ({"url": "http://a:1", "hosts": "b:2"}, ["url"]),
    "a proxy before all": ({"proxy": "http://a:1", "host": "b", "srv": "example.com"}, ["host", "srv"]),
    "authorities without encryption": ({"hosts": "a", "cacert": "/ca"}, ["cacert"]),
    "our certificate without encryption": ({"url": "http://a", "cert": "/cert", "key": "/key"}, ["cert", "key"]),
    "encryption": ({"hosts": "a", "protocol": "https", "cacert": "/ca", "cert": "/cert", "key": "/key"}, []),
    "encryption of one of them": ({"hosts": ["http://a:1", "https://b:2"], "cacert": "/ca"}, []),
    "DNS says whether there is encryption": ({"srv": "example.com", "cacert": "/ca"}, []),
}


@pytest.mark.parametrize(("section", "keys"), REMARKS.values(), ids=REMARKS.keys())
def test_what_counts_for_nothing_is_said(section: dict[str, object], keys: list[str]) -> None:
    schema = EtcdSchema()
    assert [path for path, _ in schema.remarks(section, schema.load(section))] == [(key,) for key in keys]


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(EtcdSchema().load({"host": "a", "username": "u", "password": "secret"}))


def test_the_plugin_brings_its_schema_without_an_instance() -> None:
    assert EtcdPlugin.hacore_config_schema() is EtcdSchema


def test_the_agent_loads_neither_the_schema_s_library_nor_another_http_client() -> None:
    program = "import sys, hacore_dcs_etcd.plugin as p; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint({"marshmallow", "requests", "urllib3", "yaml", "psycopg2", "sqlite3", "asyncio", "dns"})
