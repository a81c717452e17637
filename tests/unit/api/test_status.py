import json
from dataclasses import replace

from hacore.api import status
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.node import Role
from hacore.observe.peers import peer_state
from hacore.publish.picture import Picture, Sender
from tests.unit.api.samples import OPTIME, PRIMARY, STANDBY

SENDER = Sender(usename="replicator", application_name="b", client_addr="10.0.0.2", state="streaming", sync_state="async", sync_priority=0)


def document(picture: Picture) -> dict[str, object]:
    found = status.document(picture, status.of_picture(picture))
    json.dumps(found)
    return found


def test_a_primary_shows_its_location_and_who_streams_from_it() -> None:
    found = document(replace(PRIMARY, senders=(SENDER,)))
    assert found["role"] == "primary"
    assert found["xlog"] == {"location": OPTIME + 100}
    assert found["timeline"] == 3
    assert found["server_version"] == 150004
    assert found["postmaster_start_time"] == "2025-01-02 03:04:05.678901+00:00"
    assert found["replication"] == [
        {
            "usename": "replicator",
            "application_name": "b",
            "client_addr": "10.0.0.2",
            "state": "streaming",
            "sync_state": "async",
            "sync_priority": 0,
        }
    ]
    assert found["database_system_identifier"] == "7298374655123456789"
    assert found["patroni"] == {"version": PRIMARY.version, "scope": "demo", "name": "a"}
    assert found["dcs_last_seen"] == 1_700_000_000


def test_a_standby_shows_what_it_received_and_replayed() -> None:
    found = document(STANDBY)
    assert found["role"] == "replica"
    assert found["xlog"] == {
        "received_location": OPTIME,
        "replayed_location": OPTIME - 10,
        "replayed_timestamp": None,
        "paused": False,
    }
    assert found["replication_state"] == "streaming"
    assert found["tags"] == {"zone": "x"}


def test_what_was_received_falls_back_to_what_was_replayed() -> None:
    found = document(replace(STANDBY, received=None))
    assert found["xlog"] == {
        "received_location": OPTIME - 10,
        "replayed_location": OPTIME - 10,
        "replayed_timestamp": None,
        "paused": False,
    }


def test_flags_appear_only_where_they_are_true() -> None:
    assert not {"pause", "cluster_unlocked", "pending_restart", "pending_restart_reason", "sync_standby", "tags"} & document(PRIMARY).keys()
    found = document(replace(PRIMARY, pause=True, cluster_unlocked=True, pending_restart=(("max_connections", "100", "200"),)))
    assert (found["pause"], found["cluster_unlocked"], found["pending_restart"]) == (True, True, True)
    assert found["pending_restart_reason"] == {"max_connections": {"old_value": "100", "new_value": "200"}}
    assert document(replace(STANDBY, sync_standby=True))["sync_standby"] is True


def test_a_server_that_does_not_answer_shows_no_positions_and_is_unknown() -> None:
    found = document(replace(STANDBY, running=False, role="replica"))
    assert found["state"] == "unknown"
    assert not {"xlog", "server_version", "postmaster_start_time", "timeline", "replication_state"} & found.keys()
    assert found["patroni"]


def test_a_stopped_server_shows_its_managed_role() -> None:
    found = document(replace(PRIMARY, state="stopped", role="demoted", running=False))
    assert (found["state"], found["role"]) == ("stopped", "demoted")
    assert "xlog" not in found


def test_a_measurement_does_not_bring_a_stopped_server_back() -> None:
    stopped = replace(PRIMARY, state="stopped", running=False)
    assert "xlog" not in status.document(stopped, status.of_picture(PRIMARY))


def test_a_scheduled_restart_is_shown_with_its_conditions() -> None:
    scheduled = '{"schedule": "2030-01-02T03:04:05+00:00", "postmaster_start_time": "x", "role": "replica"}'
    assert document(replace(PRIMARY, scheduled_restart=scheduled))["scheduled_restart"] == {
        "schedule": "2030-01-02T03:04:05+00:00",
        "role": "replica",
    }


def test_other_members_of_ours_are_told_what_is_durable() -> None:
    own = document(STANDBY)["hacore"]
    assert isinstance(own, dict)
    assert own["durable_lsn"] == OPTIME
    assert "hacore" in document(PRIMARY)


def test_of_a_silent_agent_only_what_the_server_says_is_told() -> None:
    found = status.unheard("b", "demo", status.of_picture(STANDBY))
    assert (found["state"], found["role"], found["timeline"]) == ("running", "replica", 3)
    assert found["xlog"] == document(STANDBY)["xlog"]
    peer = peer_state("b", found)
    assert (peer.role, peer.lsn, peer.refuses_election) == (Role.STANDBY, OPTIME, True)
    assert peer_state("b", status.unheard("b", "demo", status.of_picture(PRIMARY))).role is Role.PRIMARY
    silent = peer_state("b", status.unheard("b", "demo", None))
    assert (silent.role, silent.state) == (None, "unknown")


def test_a_standby_that_is_created_again_says_so_and_what_that_failed_on_and_when_it_is_done() -> None:
    asked = ((None, None), (("i", None), "h"), (("i", "no"), None), (None, "i"))
    shown = [document(replace(STANDBY, reinitialize=one, reinitialized=done))["hacore"] for one, done in asked]
    assert [one.get("reinitialize") for one in shown] == [  # type: ignore[attr-defined]
        None, {"id": "i", "state": "goes on"}, {"id": "i", "state": "failed", "error": "no"}, {"id": "i", "state": "done"},
    ]  # fmt: skip


def test_routers_are_shown_by_name() -> None:
    rows = (
        ("pooler", "pooler", None, 5.0, "a", True),
        ("proxy", "proxy", "the socket does not answer", 5.0, None, None),
        ("vip", "address", None, None, None, None),
    )
    own = document(replace(PRIMARY, figures=replace(PRIMARY.figures, routers=rows)))["hacore"]
    assert isinstance(own, dict)
    assert own["routers"] == {
        "pooler": {"layer": "pooler", "state": "applied", "target": "a"},
        "proxy": {"layer": "proxy", "state": "degraded", "reason": "the socket does not answer"},
        "vip": {"layer": "address", "state": "waiting"},
    }
    assert "routers" not in document(PRIMARY)["hacore"]  # type: ignore[operator]


def test_what_plugins_say_of_themselves_is_shown_by_name() -> None:
    words = (("proxy", "socket", "node1 UP"), ("proxy", "since", None), ("vip", "held", True))
    own = document(replace(PRIMARY, figures=replace(PRIMARY.figures, plugin_words=words)))["hacore"]
    assert isinstance(own, dict)
    assert own["plugins"] == {"proxy": {"socket": "node1 UP", "since": None}, "vip": {"held": True}}


def test_an_archive_is_shown_with_whose_it_is_and_what_is_wrong() -> None:
    state = ArchiveState(name="walg", identity=ArchiveIdentity.CONFLICT, owner="other", fault="WAL is kept", ready_files=3)
    own = document(replace(PRIMARY, archive=state))["hacore"]
    assert isinstance(own, dict)
    assert own["archive"] == {"name": "walg", "identity": "conflict", "owner": "other", "fault": "WAL is kept", "ready_files": 3}
