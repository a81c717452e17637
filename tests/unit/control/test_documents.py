import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.config import effective
from hacore.control.answers import COMMANDS, answerer
from hacore.control.cluster import is_paused
from hacore.control.context import Context
from hacore.control.wire import Reply
from hacore.model.commands import ReloadCommand
from hacore.model.lease import Lease, Lock
from hacore.records.cluster import read_cluster
from tests.unit.config.samples import SAMPLE, load_values
from tests.unit.control.samples import scene


def ask(context: Context, op: str, body: Mapping[str, object] | None = None) -> Reply:
    return answerer(context)({"op": op, "body": body})


def document(reply: Reply) -> Any:
    assert reply.document is not None, reply
    return json.loads(reply.document)


def test_the_cluster_is_shown_as_monitoring_knows_it() -> None:
    context, loop, _ = scene()
    loop.dcs.put("failover", '{"leader":"a","member":"b","scheduled_at":"2030-01-02T03:04:05+00:00"}')
    loop.dcs.put("config", '{"pause":true}')
    loop.dcs.join("c", state="creating replica", pending_restart=True, pending_restart_reason={"x": {"old_value": "1", "new_value": "2"}})
    found = document(ask(context, "cluster"))
    assert found == {
        "members": [
            {
                "name": "a",
                "role": "leader",
                "state": "running",
                "api_url": "http://a.example:8008/patroni",
                "host": "a.example",
                "port": 5432,
                "timeline": 1,
            },
            {
                "name": "b",
                "role": "replica",
                "state": "streaming",
                "api_url": "http://b.example:8008/patroni",
                "host": "b.example",
                "port": 5432,
                "timeline": 1,
                "lag": 10,
                "lsn": "0/137E",
                "receive_lsn": "0/137E",
                "receive_lag": 10,
                "replay_lsn": "0/1374",
                "replay_lag": 20,
            },
            {
                "name": "c",
                "role": "replica",
                "state": "creating replica",
                "api_url": "http://c.example:8008/patroni",
                "host": "c.example",
                "port": 5432,
                "pending_restart": True,
                "pending_restart_reason": {"x": {"old_value": "1", "new_value": "2"}},
                "lag": "unknown",
                "lsn": "unknown",
                "receive_lsn": "unknown",
                "receive_lag": "unknown",
                "replay_lsn": "unknown",
                "replay_lag": "unknown",
            },
        ],
        "pause": True,
        "scheduled_switchover": {"at": "2030-01-02T03:04:05+00:00", "from": "a", "to": "b"},
        "scope": "demo",
    }


@pytest.mark.parametrize("written", ["true", '"true"', '"on"', '"Yes"', "1", '"1"', "false", '"off"', "0", "null", "7", "[]"])
def test_the_cluster_is_paused_for_those_who_look_where_it_is_for_its_members(written: str, tmp_path: Path) -> None:
    context, loop, _ = scene()
    loop.dcs.put("config", f'{{"pause":{written}}}')
    policy = effective(load_values(SAMPLE, tmp_path).local, json.loads(loop.dcs.records["config"].value)).policy
    assert document(ask(context, "cluster")).get("pause", False) is policy.pause
    assert is_paused(read_cluster(loop.dcs.snapshot(timeout_s=1.0))) is policy.pause


def test_only_the_holder_of_the_lock_is_the_leader() -> None:
    context, loop, _ = scene()
    loop.dcs.lock = Lock(holder="b", instance="2")
    roles = {one["name"]: (one["role"], one["state"], "lag" in one) for one in document(ask(context, "cluster"))["members"]}
    assert roles["b"] == ("leader", "running", False)
    assert roles["a"] == ("replica", "running", True)


def test_a_record_of_somebody_else_does_not_hide_the_others() -> None:
    context, loop, _ = scene()
    loop.dcs.join("d", conn_url="postgres://[::1:5432/x", api_url=None)
    found = {one["name"]: one for one in document(ask(context, "cluster"))["members"]}
    assert "host" not in found["d"]
    assert len(found) == 4


def test_the_cluster_is_not_shown_from_memory() -> None:
    context, loop, _ = scene()
    loop.dcs.fails.add("snapshot")
    assert ask(context, "cluster").status == 503


def test_the_history_is_a_list_also_where_there_is_none() -> None:
    context, loop, _ = scene()
    assert document(ask(context, "history")) == []
    line = [1, 25623960, "no recovery target specified", "2025-01-02T03:04:05.678901+00:00", "b"]
    loop.dcs.put("history", json.dumps([line]))
    loop.turn()
    assert document(ask(context, "history")) == [line]
    loop.dcs.fails.add("snapshot")
    loop.turn()
    assert ask(context, "history").status == 503


def test_the_configuration_keeps_its_order_of_keys() -> None:
    context, _, _ = scene()
    reply = ask(context, "config")
    assert reply.document == '{"ttl": 30, "postgresql": {"parameters": {"max_connections": 100}}, "loop_wait": 10}'


def test_the_configuration_seen_last_is_shown_while_the_store_is_away() -> None:
    context, loop, _ = scene()
    loop.dcs.fails.add("snapshot")
    assert document(ask(context, "config"))["ttl"] == 30


def test_without_a_config_key_there_is_nothing_to_show_or_to_patch() -> None:
    context, loop, _ = scene()
    del loop.dcs.records["config"]
    assert ask(context, "config").status == 502
    assert ask(context, "config_patch", {"ttl": 40}).status == 503
    assert ask(context, "config_put", {"ttl": 40}).status == 200


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({"ttl": 40}, '{"ttl":40,"postgresql":{"parameters":{"max_connections":100}},"loop_wait":10}'),
        ({"ttl": None}, '{"postgresql":{"parameters":{"max_connections":100}},"loop_wait":10}'),
        ({"pause": True}, '{"ttl":30,"postgresql":{"parameters":{"max_connections":100}},"loop_wait":10,"pause":true}'),
        (
            {"postgresql": {"parameters": {"work_mem": "8MB", "max_connections": None}}},
            '{"ttl":30,"postgresql":{"parameters":{"work_mem":"8MB"}},"loop_wait":10}',
        ),
        ({"something_of_another_release": [1]}, None),
    ],
)
def test_a_patch_is_laid_over_what_is_stored(patch: dict[str, object], text: str | None) -> None:
    context, loop, _ = scene()
    reply = ask(context, "config_patch", patch)
    assert reply.status == 200
    stored = loop.dcs.value("config")
    assert stored == text or (text is None and stored is not None and "something_of_another_release" in stored)
    assert document(reply) == json.loads(stored or "")
    assert loop.woken == 1


def test_a_patch_that_changes_nothing_is_not_written() -> None:
    context, loop, _ = scene()
    version = loop.dcs.records["config"].version
    assert ask(context, "config_patch", {"ttl": "30"}).status == 200
    assert loop.dcs.records["config"].version == version


@pytest.mark.parametrize(
    "patch", [{"ttl": "soon"}, {"ttl": {"a": 1}}, {"postgresql": {"parameters": ["x"]}}, {"synchronous_mode": "maybe"}, {"pause": 7}]
)
def test_a_configuration_that_nobody_could_use_is_not_stored(patch: dict[str, object]) -> None:
    context, loop, _ = scene()
    before = loop.dcs.value("config")
    reply = ask(context, "config_patch", patch)
    assert reply.status == 400
    assert next(iter(patch)) in reply.text
    assert ask(context, "config_put", patch).status == 400
    assert loop.dcs.value("config") == before


def test_a_patch_that_somebody_else_overtook_is_refused() -> None:
    context, loop, _ = scene()
    loop.dcs.before_write = lambda: loop.dcs.put("config", "{}")
    assert ask(context, "config_patch", {"ttl": 40}).status == 409
    assert loop.dcs.value("config") == "{}"


def test_a_configuration_that_cannot_be_written_is_said() -> None:
    context, loop, _ = scene()
    loop.dcs.fails.add("write")
    assert ask(context, "config_put", {"ttl": 40}).status == 502
    assert ask(context, "config_patch", {"ttl": 40}).status == 503


def test_the_explanation_names_the_rule_and_what_a_failover_would_need() -> None:
    context, loop, _ = scene()
    loop.dcs.join("d", state="stopped", xlog_location=1)
    loop.turn()
    lease = Lease(lock=Lock(holder="a", instance="1"), token=4, sent_at=100.0, ttl_s=30.0, margin_s=3.0, budget_s=2.0)
    loop.world = replace(loop.world, lease=lease, commands=(ReloadCommand(id="x", received_at=1.0),))
    found = document(ask(context, "explain"))
    assert (found["decision"]["table"], found["decision"]["rule"]) == ("leading", "keep_leading")
    assert found["lease"] == {"token": 4, "ttl_s": 30.0, "fence_in_s": 25.0, "ends_in_s": 27.0}
    obstacles = {one["member"]: one["obstacles"] for one in found["failover"]}
    assert obstacles["b"] == []
    assert len(obstacles["c"]) == 2
    assert len(obstacles["d"]) == 1
    assert found["commands"][0]["kind"] == "ReloadCommand"


def test_the_status_of_the_node_is_one_document() -> None:
    context, _, _ = scene()
    found = document(ask(context, "status"))
    assert (found["name"], found["leader"], found["role"], found["rule"]) == ("a", "a", "primary", "keep_leading")


@pytest.mark.parametrize("request_", [{}, {"op": "rm"}, {"op": 7}, {"op": ["config"]}, {"op": "restart", "body": []}])
def test_what_is_no_command_is_refused(request_: dict[str, object]) -> None:
    context, _, _ = scene()
    assert answerer(context)(request_).status == 400


@pytest.mark.parametrize("op", sorted(COMMANDS))
def test_no_command_fails_without_store_and_without_a_turn(op: str) -> None:
    context, loop, _ = scene()
    loop.dcs.fails |= {"snapshot", "write"}
    loop.has_turned = False
    assert ask(context, op).status in {202, 400, 404, 502, 503}
