"""What is said of changes of the primary, of decisions, and of times."""

from datetime import UTC, datetime

import click
import pytest

from hacore.api.response import error_page
from hacore.cli.explaining import cluster_explanation, node_lines
from hacore.cli.journal import change_rows, event_row
from hacore.cli.moment import ask_time, parse_time
from hacore.cli.rest import Answer
from hacore.model.events import Event, EventKind
from tests.unit.cli.views import MB, OPTIME, leader, member, tags, view

AT = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_of_a_page_for_browsers_a_person_at_a_terminal_reads_the_sentence() -> None:
    page = error_page(503, "the agent did not answer & more").decode()
    assert Answer(status=503, text=page).said == "the agent did not answer & more"
    assert Answer(status=412, text="leader name does not match\n").said == "leader name does not match"


def event(kind: EventKind, **data: str | int) -> Event:
    return Event(id=1, at=AT, kind=kind, scope="demo", member="b", role="primary", timeline=2, data=tuple(data.items()))


def test_a_change_of_the_primary_is_told_with_each_of_its_steps() -> None:
    taken = event(EventKind.SWITCHOVER, previous="a", began="2030", acquired_ms=15, promoted_ms=100, total_ms=115)
    (row,) = change_rows([event(EventKind.STARTED), taken])
    assert (row["Change"], row["From"], row["To"], row["Took"]) == ("switchover", "a", "b", "115 ms")
    assert row["Steps"] == "acquired 15, promoted 100"


def test_who_gives_the_lead_away_is_told_as_such() -> None:
    (row,) = change_rows([event(EventKind.HANDED_OVER, candidate="c", stopped_ms=200, total_ms=200)])
    assert (row["Change"], row["From"], row["To"]) == ("handed over", "b", "c")


def test_an_event_is_shown_with_what_it_carries() -> None:
    row = event_row(event(EventKind.ROLE_CHANGED, previous="replica", nothing=""))
    assert (row["Event"], row["Role"], row["TL"], row["Details"]) == ("role_changed", "primary", 2, "previous=replica")


@pytest.mark.parametrize("text", ["2030-01-31T23:59+00:00", "2030-01-31 23:59+00:00", "2030-01-31T23:59Z", "2030-01-31T23:59:00+00"])
def test_a_time_is_read_as_people_write_it(text: str) -> None:
    assert parse_time(text) == datetime(2030, 1, 31, 23, 59, tzinfo=UTC)


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    found = parse_time("2030-01-31T23:59")
    assert found is not None
    assert found.utcoffset() is not None


def test_now_is_no_time() -> None:
    assert parse_time("now") is None
    assert ask_time(None, "switchover", asks=False) is None


@pytest.mark.parametrize("text", ["tomorrow", "2030-13-01T00:00", "12:00", "0001-01-01"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a time"):
        parse_time(text)


EXPLANATION = {
    "member": "a",
    "scope": "demo",
    "decision": {"table": "leading", "rule": "keep_leading", "reason": "leads under token 1", "steps": ["Renew(x=1)"], "age_s": 0.25},
    "node": {"server": "running", "role": "primary", "lsn": None, "fence": {"coverage": "full", "armed": True, "fired": False}},
    "store": {"readable": True, "members": ["a", "b"], "refuses_election": "synchronous_mode does not work yet"},
    "lease": {"token": 1, "fence_in_s": 2.0},
    "job": {"kind": "checkpoint", "progress": None},
    "commands": [{"kind": "RestartCommand", "role": None}],
}


def test_an_agent_is_explained_in_words() -> None:
    found = list(node_lines(EXPLANATION))
    assert ("rule", "keep_leading (table leading), 0.2 s ago") in found
    assert ("because", "leads under token 1") in found
    assert ("step", "Renew(x=1)") in found
    assert ("fence", "coverage full, armed yes") in found
    assert ("server", "server running, role primary") in found
    assert ("work", "kind checkpoint") in found
    assert ("command", "kind RestartCommand") in found
    assert found[-1] == ("note", "this member does not stand for election: synchronous_mode does not work yet")


def test_without_a_lease_that_is_said() -> None:
    assert ("lease", "not held") in list(node_lines({**EXPLANATION, "lease": None}))


def test_from_elsewhere_the_members_say_what_they_decided_and_the_records_what_keeps_each_from_leading() -> None:
    late = type(OPTIME)(OPTIME - 2 * MB)
    shown = view(leader("a"), member("b", lsn=late, tags=tags(nofailover=True)), member("c"), member("d"))
    said = {
        "a": {"role": "primary", "hacore": {"rule": "leading.keep_leading", "reason": "leads", "fence": "full"}},
        "c": {"role": "replica", "hacore": {"rule": "following.wait", "reason": "waits", "refuses_election": "synchronous_mode"}},
        "d": {"role": "replica", "patroni": {"version": "4.1.5"}},
    }
    found = cluster_explanation(shown, "demo", said, {"b": "no answer in time"})
    members = {one["member"]: one for one in found["members"]}
    assert (members["a"]["rule"], members["a"]["reason"], members["a"]["fence"]) == ("leading.keep_leading", "leads", "full")
    assert members["b"]["reason"] == "no answer in time"
    assert members["d"]["reason"] == "it is not hacore"
    obstacles = {one["member"]: one["obstacles"] for one in found["failover"]}
    assert set(obstacles) == {"b", "c", "d"}
    assert obstacles["b"] == ["its tags say that it must not lead", f"it is {2 * MB} bytes behind, at most {MB} are allowed"]
    assert obstacles["c"] == ["it does not stand for election: synchronous_mode"]
    assert obstacles["d"] == []


def test_the_limit_on_lag_is_that_of_the_dynamic_configuration() -> None:
    late = type(OPTIME)(OPTIME - 2 * MB)
    shown = view(leader("a"), member("b", lsn=late), config='{"maximum_lag_on_failover":"10MB"}')
    assert cluster_explanation(shown, "demo", {}, {})["failover"] == [{"member": "b", "obstacles": []}]
