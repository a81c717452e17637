import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hacore.api import metrics, status
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.publish.picture import Figures, Picture, decode, encode
from tests.unit.api.samples import NOW, OPTIME, PRIMARY, STANDBY, seen

NAMES = {
    "patroni_version",
    "patroni_postgres_running",
    "patroni_postmaster_start_time",
    "patroni_primary",
    "patroni_xlog_location",
    "patroni_standby_leader",
    "patroni_replica",
    "patroni_sync_standby",
    "patroni_quorum_standby",
    "patroni_xlog_received_location",
    "patroni_xlog_replayed_location",
    "patroni_xlog_replayed_timestamp",
    "patroni_xlog_paused",
    "patroni_postgres_streaming",
    "patroni_postgres_in_archive_recovery",
    "patroni_postgres_server_version",
    "patroni_cluster_unlocked",
    "patroni_failsafe_mode_is_active",
    "patroni_postgres_timeline",
    "patroni_dcs_last_seen",
    "patroni_pending_restart",
    "patroni_is_paused",
    "patroni_postgres_state",
}


def values(picture: Picture | None, *, lease_s: float | None = None) -> dict[str, float]:
    measured = status.of_picture(picture) if picture is not None else None
    text = metrics.render(seen(picture, lease_s=lease_s), measured, NOW).decode()
    families = list(text_string_to_metric_families(text))
    assert all(family.type == "gauge" for family in families)
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.labels["scope"] == "demo" and sample.labels["name"] == "a" for sample in samples)
    return {sample.name: sample.value for sample in samples}


def test_every_name_that_dashboards_know_is_there() -> None:
    assert values(PRIMARY).keys() >= NAMES


def test_a_primary_in_numbers() -> None:
    found = values(PRIMARY, lease_s=5.0)
    expected = {
        "patroni_version": 40105,
        "patroni_postgres_running": 1,
        "patroni_primary": 1,
        "patroni_replica": 0,
        "patroni_xlog_location": OPTIME + 100,
        "patroni_xlog_received_location": 0,
        "patroni_postgres_server_version": 150004,
        "patroni_postgres_timeline": 3,
        "patroni_postgres_state": 5,
        "patroni_dcs_last_seen": 1_700_000_000,
        "hacore_lease_remaining_seconds": 5.0,
        "hacore_picture_age_seconds": 1.0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["patroni_postmaster_start_time"] == pytest.approx(1735787045.678901)


def test_a_standby_in_numbers() -> None:
    found = values(replace(STANDBY, replay_paused=True, replayed_at="2025-01-02 03:04:05.000000+00:00"))
    expected = {
        "patroni_primary": 0,
        "patroni_replica": 1,
        "patroni_xlog_location": 0,
        "patroni_xlog_received_location": OPTIME,
        "patroni_xlog_replayed_location": OPTIME - 10,
        "patroni_xlog_replayed_timestamp": 1735787045,
        "patroni_xlog_paused": 1,
        "patroni_postgres_streaming": 1,
        "patroni_postgres_in_archive_recovery": 0,
    }
    assert {name: found[name] for name in expected} == expected


def test_a_server_that_does_not_answer_has_no_state() -> None:
    found = values(replace(PRIMARY, running=False))
    assert (found["patroni_postgres_running"], found["patroni_postgres_state"]) == (0, -1)
    assert found["patroni_postgres_timeline"] == 3


def test_a_stopped_server_is_counted_by_its_state() -> None:
    assert values(replace(PRIMARY, state="stopped", running=False))["patroni_postgres_state"] == 12


def test_before_the_first_turn_there_is_nothing_to_count() -> None:
    assert values(None) == {}


def test_an_agent_that_is_silent_for_ttl_leaves_only_its_silence_to_count() -> None:
    text = metrics.render(seen(PRIMARY, age_s=31.0), status.of_picture(PRIMARY), NOW).decode()
    assert set(re.findall(r"^([a-z_]+)\{", text, flags=re.MULTILINE)) == {"hacore_picture_age_seconds", "hacore_lease_remaining_seconds"}


def test_rules_and_plugin_calls_are_counted_by_name() -> None:
    figures = Figures(
        turns=7, turn_s=0.25, dcs_latency_s=0.002, dcs_errors=3, fences=1, rules=(("leading", "keep_leading", 5),),
        plugin_calls=(("callbacks", "hacore_event", "late", 2),),
    )  # fmt: skip
    text = metrics.render(seen(replace(PRIMARY, figures=figures)), None, NOW).decode()
    assert 'hacore_rule_answers{name="a",rule="keep_leading",scope="demo",table="leading"} 5.0' in text
    assert 'hacore_plugin_calls{hook="hacore_event",name="a",outcome="late",plugin="callbacks",scope="demo"} 2.0' in text
    assert 'hacore_loop_duration_seconds{name="a",scope="demo"} 0.25' in text
    assert 'hacore_dcs_errors{name="a",scope="demo"} 3.0' in text


def test_plugins_tell_of_themselves_each_with_its_own_labels() -> None:
    samples = (
        ("haproxy", "up", "Whether it answers.", (("proxy", "/a b"),), 1.0),
        ("pooler", "up", "Whether it runs.", (), 0.0),
        ("haproxy", "sessions", "Open sessions.", (("server", "a"),), 7.0),
    )
    picture = replace(PRIMARY, figures=replace(PRIMARY.figures, plugin_samples=samples))
    text = metrics.render(seen(picture), None, NOW).decode()
    found = {
        (sample.name, sample.labels["plugin"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in {"hacore_plugin_up", "hacore_plugin_sessions"}
    }
    assert found == {
        ("hacore_plugin_up", "haproxy"): 1,
        ("hacore_plugin_up", "pooler"): 0,
        ("hacore_plugin_sessions", "haproxy"): 7,
    }
    assert 'proxy="/a b"' in text
    assert decode(encode(picture)) == picture


def test_routers_are_measured_each_under_its_name() -> None:
    rows = (("pooler", "pooler", None, NOW - 7.0, "a", True), ("vip", "address", "no such device", None, None, None))
    picture = replace(PRIMARY, figures=replace(PRIMARY.figures, routers=rows))
    text = metrics.render(seen(picture), status.of_picture(picture), NOW).decode()
    found = {
        (sample.name.removeprefix("hacore_router_"), sample.labels["router"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("hacore_router_")
    }
    assert found == {
        ("applied_age_seconds", "pooler"): 7.0,
        ("degraded", "pooler"): 0,
        ("degraded", "vip"): 1,
        ("on_target", "pooler"): 1,
    }


def test_an_archive_in_numbers() -> None:
    state = ArchiveState(
        name="walg", identity=ArchiveIdentity.OWN, fault="away", ready_files=3, oldest_ready_s=61.5, pushed=7, failed=2, fetches_broken=4,
        last_segment="000000010000000000000001", gaps=("1-2",),
    )  # fmt: skip
    found = values(replace(PRIMARY, archive=state))
    assert {name: value for name, value in found.items() if name.startswith("hacore_archive")} == {
        "hacore_archive_own": 1,
        "hacore_archive_conflict": 0,
        "hacore_archive_failing": 1,
        "hacore_archive_broken_fetches": 4,
        "hacore_archive_ready_files": 3,
        "hacore_archive_oldest_ready_seconds": 61.5,
        "hacore_archive_pushed_files": 7,
        "hacore_archive_failed_pushes": 2,
        "hacore_archive_gaps": 1,
    }


def test_what_is_not_known_of_an_archive_is_not_shown_as_zero() -> None:
    found = values(replace(PRIMARY, archive=ArchiveState(name="walg", identity=ArchiveIdentity.CONFLICT)))
    assert found["hacore_archive_conflict"] == 1
    assert not {"hacore_archive_ready_files", "hacore_archive_pushed_files", "hacore_archive_gaps"} & found.keys()
    assert not [name for name in values(PRIMARY) if name.startswith("hacore_archive")]
