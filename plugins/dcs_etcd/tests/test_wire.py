"""What is sent and read, without a server."""

import base64

import pytest

from hacore.interfaces import Put
from hacore.model.lease import Lock
from hacore_dcs_etcd.wire import Keys, decode, encode

KEYS = Keys.of("/service/", "demo")


def plain(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


@pytest.mark.parametrize(
    ("namespace", "scope"), [("/service", "demo"), ("service", "demo"), ("/service/", "/demo/"), ("//service//", "demo")]
)
def test_double_slashes_count_as_one(namespace: str, scope: str) -> None:
    assert Keys.of(namespace, scope).prefix == "/service/demo/"


def test_the_keys_are_those_of_the_field() -> None:
    assert plain(KEYS.key("leader")) == "/service/demo/leader"
    assert plain(KEYS.key("members/node 1")) == "/service/demo/members/node 1"


def test_the_range_of_a_cluster_ends_before_a_cluster_whose_name_is_longer() -> None:
    found = {name: plain(key) for name, key in KEYS.all().items()}
    assert found == {"key": "/service/demo/", "range_end": "/service/demo0"}
    assert not found["key"] <= "/service/demo-2/leader" < found["range_end"]


def test_what_is_no_utf_8_comes_back_as_it_was() -> None:
    raw = base64.b64encode(b"\xff\xfe plain").decode()
    assert encode(decode(raw)) == raw


def test_a_put_that_expects_absence_compares_the_creation() -> None:
    absent, version = KEYS.compares(
        (Put(name="initialize", value="", expected=0), Put(name="config", value="1", expected=7), Put(name="x", value=""))
    )
    assert (absent["target"], absent["create_revision"]) == ("CREATE", 0)
    assert (version["target"], version["mod_revision"]) == ("MOD", 7)


def test_an_instance_that_is_no_revision_compares_unequal_with_all() -> None:
    for instance in ("", "of another store", "12x", "9" * 30):
        created, _ = KEYS.held("leader", Lock(holder="a", instance=instance))
        assert created["create_revision"] == -1


def test_absent_numbers_are_zero() -> None:
    kv = KEYS.kv({"key": KEYS.key("config"), "create_revision": "3", "mod_revision": "5"})
    assert (kv.name, kv.value, kv.created, kv.version, kv.lease) == ("config", "", 3, 5, 0)
