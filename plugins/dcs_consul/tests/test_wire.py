"""What is sent and read, without a server."""

import base64
from typing import Any

import pytest

from hacore.interfaces import Put
from hacore_dcs_consul.session import seconds
from hacore_dcs_consul.wire import Keys, decode, encode

KEYS = Keys.of("/service/", "demo")


@pytest.mark.parametrize(
    ("namespace", "prefix"),
    [("/service", "service/demo/"), ("/service/", "service/demo/"), ("service", "service/demo/"), ("//a//b/", "a/b/demo/"), ("/", "demo/")],
)
def test_keys_have_no_leading_slash_and_no_double_ones(namespace: str, prefix: str) -> None:
    assert Keys.of(namespace, "demo").prefix == prefix


def test_a_path_is_quoted() -> None:
    assert Keys.of("/service", "a b?").path("members/ü") == "kv/service/a%20b%3F/members/%C3%BC"


@pytest.mark.parametrize("value", ["", "plain", "Zürich → 東京", "a\0b", "\udcff broken"])
def test_a_value_survives_its_encoding(value: str) -> None:
    assert decode(encode(value)) == value


def verbs(put: Put) -> list[tuple[str, int | None]]:
    return [(one["KV"]["Verb"], one["KV"].get("Index")) for one in KEYS.puts([put])]


@pytest.mark.parametrize(
    ("put", "wanted"),
    [
        (Put(name="config", value="1"), [("set", None)]),
        (Put(name="config", value="1", expected=0), [("cas", 0)]),
        (Put(name="config", value="1", expected=7), [("cas", 7)]),
        (Put(name="config", value=None), [("delete", None)]),
        (Put(name="config", value=None, expected=0), [("check-not-exists", None)]),
        (Put(name="config", value=None, expected=7), [("check-index", 7), ("delete", None)]),
    ],
)
def test_a_put_is_written_with_its_comparison(put: Put, wanted: list[tuple[str, int | None]]) -> None:
    assert verbs(put) == wanted


def test_a_key_is_read_as_it_stands() -> None:
    held: dict[str, Any] = {"Key": "service/demo/leader", "Value": base64.b64encode(b"n1").decode(), "CreateIndex": 3, "ModifyIndex": 5}
    empty: dict[str, Any] = {"Key": "service/demo/initialize", "Value": None, "CreateIndex": 4, "ModifyIndex": 4}
    leader, initialize = KEYS.kvs([{**held, "Session": "s"}, empty])
    assert (leader.name, leader.value, leader.created, leader.version, leader.session) == ("leader", "n1", 3, 5, "s")
    assert (initialize.name, initialize.value, initialize.session) == ("initialize", "", "")


@pytest.mark.parametrize(("text", "found"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("24h0m0s", 86400), ("1.5s", 1.5)])
def test_durations_are_read_as_go_writes_them(text: str, found: float) -> None:
    assert seconds(text) == found
