import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from hacore.control.answers import answerer
from hacore.control.context import Context
from hacore.control.switchover import remarks
from hacore.control.wire import Reply
from hacore.model.lease import Lock
from hacore.model.node import PeerState
from hacore.model.steps import PutRecord
from hacore.model.world import Decision
from tests.unit.control.samples import ScriptedLoop, scene
from tests.unit.decide import worlds as w

LATER = "2030-01-01T13:00:00+00:00"


def ask(context: Context, op: str, body: Mapping[str, object] | None = None) -> Reply:
    return answerer(context)({"op": op, "body": body})


def paused(loop: ScriptedLoop) -> None:
    loop.dcs.put("config", '{"pause":true}')


@pytest.mark.parametrize(
    ("op", "body", "status", "text"),
    [
        ("failover", {}, 400, None),
        ("failover", {"leader": ""}, 400, None),
        ("switchover", {"candidate": "b"}, 400, None),
        ("failover", {"candidate": "b", "scheduled_at": LATER}, 400, "Failover can't be scheduled"),
        ("switchover", {"leader": "a", "scheduled_at": "2030-01-01T13:00:00"}, 400, None),
        ("switchover", {"leader": "a", "scheduled_at": "tomorrow"}, 422, None),
        ("switchover", {"leader": "a", "scheduled_at": "2030-01-01T11:00:00+00:00"}, 422, None),
        ("switchover", {"leader": "a", "candidate": "a"}, 400, None),
        ("switchover", {"leader": 7}, 400, None),
        ("switchover", {"leader": "a", "candidate": ["b"]}, 400, None),
        ("switchover", {"leader": "b"}, 412, "leader name does not match"),
        ("switchover", {"leader": "a", "candidate": "z"}, 412, "candidate does not exists"),
        ("switchover", {"leader": "a", "candidate": "c"}, 412, "switchover is not possible: no good candidates have been found"),
        ("failover", {"candidate": "c"}, 412, "failover is not possible: no good candidates have been found"),
        ("failover", {"candidate": "z"}, 412, "candidate does not exists"),
        ("failover", {"leader": "b", "candidate": "c"}, 412, "leader name does not match"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(op: str, body: dict[str, object], status: int, text: str | None) -> None:
    context, loop, _ = scene()
    reply = ask(context, op, body)
    assert (reply.status, text or reply.text) == (status, reply.text)
    assert loop.dcs.value("failover") is None


def test_in_pause_a_switchover_needs_a_candidate_and_no_time() -> None:
    context, loop, _ = scene()
    paused(loop)
    text = "Switchover is possible only to a specific candidate in a paused state"
    assert ask(context, "switchover", {"leader": "a"}) == Reply(status=400, text=text)
    assert ask(context, "switchover", {"leader": "a", "candidate": "b", "scheduled_at": LATER}).status == 400


def test_a_leader_alone_has_nobody_to_hand_over_to() -> None:
    context, loop, _ = scene()
    del loop.dcs.members["b"], loop.dcs.members["c"]
    text = "switchover is not possible: cluster does not have members except leader"
    assert ask(context, "switchover", {"leader": "a"}) == Reply(status=412, text=text)


@pytest.mark.parametrize("peer", [PeerState(name="b", reachable=False), PeerState(name="b", reachable=True, refuses_election=True)])
def test_a_candidate_that_does_not_answer_or_may_not_lead_is_no_good(peer: PeerState) -> None:
    context, _, peers = scene()
    peers.answers = {**peers.answers, "b": peer}
    assert ask(context, "switchover", {"leader": "a"}).text == "switchover is not possible: no good candidates have been found"
    assert peers.asked == ["b", "c"]


def lock_goes_to(name: str) -> object:
    def step(loop: ScriptedLoop) -> None:
        loop.dcs.lock = Lock(holder=name, instance="2")
        loop.dcs.put("failover", "{}")

    return step


def lock_is_given_back(loop: ScriptedLoop) -> None:
    loop.dcs.lock = None


def wish_is_blanked(loop: ScriptedLoop) -> None:
    loop.dcs.put("failover", "{}")


@pytest.mark.parametrize(
    ("op", "body", "new_leader", "text"),
    [
        ("switchover", {"leader": "a", "candidate": "b"}, "b", 'Successfully switched over to "b"'),
        ("switchover", {"leader": "a", "member": "b"}, "b", 'Successfully switched over to "b"'),
        ("switchover", {"leader": "a"}, "b", 'Successfully switched over to "b"'),
        ("switchover", {"leader": "a", "candidate": "b"}, "c", 'Switched over to "c" instead of "b"'),
        ("failover", {"candidate": "b"}, "b", 'Successfully failed over to "b"'),
        ("failover", {"leader": "a", "candidate": "b"}, "b", 'Successfully switched over to "b"'),
    ],
)
def test_a_change_of_the_leader_is_waited_for(op: str, body: dict[str, object], new_leader: str, text: str) -> None:
    context, loop, _ = scene()
    loop.script = [lambda _: None, lock_is_given_back, lock_goes_to(new_leader)]  # type: ignore[list-item]
    assert ask(context, op, body) == Reply(status=200, text=text)
    assert loop.woken >= 1


def test_the_wish_is_written_as_the_field_writes_it() -> None:
    context, loop, _ = scene()
    written: list[str | None] = []
    loop.script = [lambda one: written.append(one.dcs.value("failover")), lock_goes_to("b")]  # type: ignore[list-item]
    ask(context, "switchover", {"leader": "a", "candidate": "b"})
    assert [json.loads(one or "") for one in written] == [{"leader": "a", "member": "b"}]


def test_a_failover_without_any_leader_is_possible() -> None:
    context, loop, _ = scene()
    loop.dcs.lock = None
    loop.script = [lock_goes_to("b")]  # type: ignore[list-item]
    assert ask(context, "failover", {"candidate": "b"}) == Reply(status=200, text='Successfully failed over to "b"')


def test_a_failover_that_is_given_again_is_a_new_one_also_where_a_store_does_not_count_the_same_value() -> None:
    context, loop, _ = scene()
    loop.dcs.lock = None
    loop.dcs.put("failover", '{"member":"b"}')
    stood: list[str | None] = []
    loop.dcs.before_write = lambda: stood.append(loop.dcs.value("failover"))
    loop.script = [lock_goes_to("b")]  # type: ignore[list-item]
    assert ask(context, "failover", {"candidate": "b"}).status == 200
    assert stood == ['{"member":"b"}', "{}"]


@pytest.mark.parametrize(("op", "body"), [("switchover", {"leader": "a"}), ("failover", {"candidate": "b"})])
def test_a_wish_that_was_blanked_while_the_leader_stayed_has_failed(op: str, body: dict[str, object]) -> None:
    context, loop, _ = scene()
    loop.script = [wish_is_blanked]
    assert ask(context, op, body) == Reply(status=503, text=f"{op.capitalize()} failed")


def test_a_wish_that_this_node_gave_up_says_why() -> None:
    context, loop, _ = scene()

    def gives_up(one: ScriptedLoop) -> None:
        step = PutRecord(name="failover", value="{}", expected=1)
        one.decision = Decision(table="handing_over", rule="hand_over_is_stuck", reason="given up: the stop was not clean", steps=(step,))
        wish_is_blanked(one)

    loop.script = [gives_up]
    reply = ask(context, "switchover", {"leader": "a"})
    assert reply == Reply(status=503, text="Switchover failed: given up: the stop was not clean")


def test_a_wish_that_nobody_takes_up_ends_unknown_after_twice_the_wait() -> None:
    context, loop, _ = scene()
    began = loop.clock.seconds
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}) == Reply(status=503, text="Switchover status unknown")
    assert loop.clock.seconds == pytest.approx(began + 20.0)


def test_the_blank_record_from_before_the_wish_is_no_failure() -> None:
    context, loop, _ = scene()
    loop.dcs.put("failover", "{}")
    loop.world = replace(loop.world, cluster=loop.view())
    loop.dcs.now = loop.clock.seconds = 101.0
    loop.script = [lock_goes_to("b")]  # type: ignore[list-item]
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}).status == 200


def test_a_wish_that_cannot_be_written_is_said() -> None:
    context, loop, _ = scene()
    loop.dcs.fails.add("write")
    refused = Reply(status=503, text="failed to write failover key into DCS")
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}) == refused
    loop.dcs.fails.clear()
    loop.dcs.before_write = lambda: loop.dcs.put("failover", '{"leader":"a","member":"c"}')
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}) == refused
    assert loop.dcs.value("failover") == '{"leader":"a","member":"c"}'


def test_a_wish_of_before_that_is_blanked_at_this_moment_is_in_nobody_s_way() -> None:
    context, loop, _ = scene()
    loop.dcs.put("failover", '{"leader":"b","member":"a"}')

    def blank_once() -> None:
        loop.dcs.before_write = lambda: None
        loop.dcs.put("failover", "{}")

    loop.dcs.before_write = blank_once
    loop.script = [lock_goes_to("b")]  # type: ignore[list-item]
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}).status == 200


def test_without_the_store_nothing_is_promised() -> None:
    context, loop, _ = scene()
    loop.dcs.fails.add("snapshot")
    assert ask(context, "switchover", {"leader": "a", "candidate": "b"}).status == 503


def test_a_scheduled_switchover_is_not_waited_for_and_can_be_taken_back() -> None:
    context, loop, _ = scene()
    body = {"leader": "a", "candidate": "b", "scheduled_at": LATER}
    assert ask(context, "switchover", body) == Reply(status=202, text="Switchover scheduled")
    assert json.loads(loop.dcs.value("failover") or "") == {"leader": "a", "member": "b", "scheduled_at": LATER}
    assert ask(context, "switchover_cancel") == Reply(status=200, text="scheduled switchover deleted")
    assert loop.dcs.value("failover") == "{}"
    assert ask(context, "switchover_cancel") == Reply(status=404, text="no switchover is scheduled")


def test_a_schedule_that_was_changed_meanwhile_is_not_deleted() -> None:
    context, loop, _ = scene()
    ask(context, "switchover", {"leader": "a", "scheduled_at": LATER})
    loop.dcs.before_write = lambda: loop.dcs.put("failover", "{}")
    assert ask(context, "switchover_cancel").status == 409


def test_nobody_is_asked_for_a_switchover_of_later() -> None:
    context, _, peers = scene()
    ask(context, "switchover", {"leader": "a", "scheduled_at": LATER})
    assert peers.asked == []


def test_a_leader_whose_wal_is_not_archived_is_warned_of_in_a_header_and_the_answer_stays_as_it_is() -> None:
    context, loop, _ = scene()
    body = {"leader": "a", "candidate": "b", "scheduled_at": LATER}
    assert ask(context, "switchover", body).headers == {}
    ask(context, "switchover_cancel")
    loop.dcs.join(
        "a", role="primary", timeline=1, xlog_location=5000, hacore={"version": "1", "archive_fault": 'push of "x" failed:\nno bucket'}
    )
    reply = ask(context, "switchover", body)
    assert (reply.status, reply.text) == (202, "Switchover scheduled")
    assert reply.headers["Warning"].startswith("199 hacore \"WAL of a is not archived (push of 'x' failed: no bucket)")


def test_whoever_names_another_leader_is_warned_of_one_that_was_left_unfenced() -> None:
    lost = w.cluster(None, own=w.own(unfenced="b"))
    (remark,) = remarks(lost, "a")
    assert remark.startswith("b was left unfenced in maintenance")
    assert remarks(lost, "b") == remarks(w.cluster("b", own=w.own(unfenced="b")), "a") == ()
