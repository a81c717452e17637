"""The sections ``zookeeper`` and ``exhibitor``."""

import pickle

import pytest

from hacore.schema import check, describe
from hacore_dcs_zookeeper.plugin import ExhibitorPlugin, ZookeeperPlugin
from hacore_dcs_zookeeper.schema import ExhibitorSchema, ZookeeperSchema
from hacore_dcs_zookeeper.settings import ExhibitorSettings, ZookeeperSettings

PLACES = {
    "list": ({"hosts": ["a:1", "b"]}, ("a:1", "b:2181"), ""),
    "text": ({"hosts": "a:1, b:2"}, ("a:1", "b:2"), ""),
    "IPv6": ({"hosts": ["[::1]:2181", "[fe80::1]", "fe80::2"]}, ("[::1]:2181", "[fe80::1]:2181", "[fe80::2]:2181"), ""),
    "a path before all others": ({"hosts": "a:1,b:2/pg/clusters/"}, ("a:1", "b:2"), "/pg/clusters"),
}


@pytest.mark.parametrize(("section", "hosts", "chroot"), PLACES.values(), ids=PLACES.keys())
def test_the_servers_can_be_named_in_each_way_of_the_field(section: dict[str, object], hosts: tuple[str, ...], chroot: str) -> None:
    settings = ZookeeperSchema().load(section)
    assert isinstance(settings, ZookeeperSettings)
    assert (settings.hosts, settings.chroot, settings.exhibitor) == (hosts, chroot, None)


def test_everything_that_the_field_knows_is_read() -> None:
    section = {
        "hosts": "a",
        "use_ssl": "on",
        "cacert": "/ca",
        "cert": "/cert",
        "key": "/key",
        "key_password": "p",
        "verify": "off",
        "set_acls": {"CN=one": ["CREATE", "READ"], "CN=two": ["ALL"]},
        "auth_data": {"digest": "agent:secret"},
    }
    settings = ZookeeperSchema().load(section)
    assert settings == ZookeeperSettings(
        hosts=("a:2181",),
        use_ssl=True,
        cacert="/ca",
        cert="/cert",
        key="/key",
        key_password="p",
        verify=False,
        set_acls=(("CN=one", ("CREATE", "READ")), ("CN=two", ("ALL",))),
        auth_data=(("digest", "agent:secret"),),
    )
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("nested", [False, True])
def test_exhibitor_is_asked_where_its_section_says(nested: bool) -> None:
    section = {"hosts": "a, b", "port": 8181, "poll_interval": 60}
    settings = ZookeeperSchema().load({"exhibitor": section}) if nested else ExhibitorSchema().load({**section, "use_ssl": True})
    assert isinstance(settings, ZookeeperSettings)
    assert settings.exhibitor == ExhibitorSettings(hosts=("a", "b"), port=8181, poll_interval_s=60.0)
    assert settings.use_ssl is not nested


WRONG = {
    "nothing": (ZookeeperSchema, {}, ("hosts",)),
    "a key without its certificate": (ZookeeperSchema, {"hosts": "a", "use_ssl": True, "key": "/k"}, ("cert",)),
    "a right that is none": (ZookeeperSchema, {"hosts": "a", "set_acls": {"CN=x": ["LEAD"]}}, ("set_acls", "CN=x", 0)),
    "a credential that is none": (ZookeeperSchema, {"hosts": "a", "auth_data": ["digest"]}, ("auth_data",)),
    "an Exhibitor without a port": (ExhibitorSchema, {"hosts": "a"}, ("port",)),
    "an Exhibitor without hosts": (ZookeeperSchema, {"exhibitor": {"port": 1}}, ("exhibitor", "hosts")),
    "an interval of nothing": (ExhibitorSchema, {"hosts": "a", "port": 1, "poll_interval": 0}, ("poll_interval",)),
}


@pytest.mark.parametrize(("schema", "section", "path"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_work_is_refused_at_its_key(
    schema: type[ZookeeperSchema | ExhibitorSchema], section: dict[str, object], path: tuple[str | int, ...]
) -> None:
    assert list(check(schema(), section)) == [path]


SHUT_OUT = {"set_acls": {"CN=one": ["ALL"]}}
REMARKS = {
    "files without encryption": ({"cacert": "/ca", "cert": "/cert", "key": "/key"}, ["cacert", "cert", "key"]),
    "rights of certificates without encryption": (SHUT_OUT, ["set_acls"]),
    "rights of certificates without one of ours": ({**SHUT_OUT, "use_ssl": True, "cacert": "/ca"}, ["set_acls"]),
    "rights of certificates": ({**SHUT_OUT, "use_ssl": True, "cert": "/cert"}, []),
    "rights of certificates, and a credential that goes before": ({**SHUT_OUT, "auth_data": {"digest": "super:secret"}}, []),
}


@pytest.mark.parametrize(("section", "keys"), REMARKS.values(), ids=REMARKS.keys())
@pytest.mark.parametrize("place", [{"hosts": "a"}, {"hosts": "a", "port": 8181}], ids=["zookeeper", "exhibitor"])
def test_what_counts_for_nothing_or_shuts_us_out_is_said(place: dict[str, object], section: dict[str, object], keys: list[str]) -> None:
    schema = ExhibitorSchema() if "port" in place else ZookeeperSchema()
    whole = {**place, **section}
    assert [path for path, _ in schema.remarks(whole, schema.load(whole))] == [(key,) for key in keys]


def test_what_is_secret_is_known_as_such() -> None:
    assert {key.path for key in describe(ZookeeperSchema()) if key.secret} == {("key_password",), ("auth_data",)}


def test_the_plugins_bring_their_schemas_without_an_instance() -> None:
    assert ZookeeperPlugin.hacore_config_schema() is ZookeeperSchema
    assert ExhibitorPlugin.hacore_config_schema() is ExhibitorSchema
