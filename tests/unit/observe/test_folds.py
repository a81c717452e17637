"""What a node remembers from turn to turn, and whether it must ask the others."""

from dataclasses import replace

import pytest

from hacore.model.cluster import ClusterView, Status
from hacore.model.jobs import JobKind, Outcome
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory, Sightings
from hacore.model.node import NodeState, ServerState
from hacore.model.policy import Policy
from hacore.observe.memory import newest
from hacore.observe.need import peers_are_needed
from hacore.observe.sightings import Reading, advance
from tests.unit.decide import worlds as w

NEW = Sightings(started_at=0.0)


def reading(**fields: object) -> Reading:
    values = {"now": w.NOW, "cluster": w.cluster(), "node": w.standby(), "lease": None, "policy": w.world().policy}
    values |= {"times": w.TIMES, "outcomes": ()}
    return Reading(**{**values, **fields})  # type: ignore[arg-type]


def holding(**fields: object) -> Lease:
    return w.lease(**fields)


def after(*readings: Reading) -> Sightings:
    seen = NEW
    for one in readings:
        seen = advance(seen, one)
    return seen


def test_the_count_of_a_heartbeat_begins_when_its_revision_was_first_received() -> None:
    first = reading(cluster=w.cluster(own_received_at=w.NOW - 3))
    seen = after(first, reading(now=w.NOW + 9, cluster=w.cluster(own_received_at=w.NOW + 9)))
    assert seen.own_version_since == w.NOW - 3


def test_another_revision_begins_the_count_again() -> None:
    seen = after(reading(), reading(now=w.NOW + 9, cluster=w.cluster(own_version=6)))
    assert seen.own_version_since == w.NOW + 9


def test_the_last_holder_is_remembered_while_there_is_none() -> None:
    seen = after(reading(), reading(now=w.NOW + 1, cluster=w.cluster(None)))
    assert (seen.lock_holder, seen.leaderless_since) == ("b", w.NOW + 1)


LED, FREE, REQUESTED = w.cluster(), w.cluster(None), w.cluster(None, failover=w.request())
LED_AND_REQUESTED = w.cluster(failover=w.request())
REPEATED = replace(REQUESTED, failover=replace(w.request(), version=10))
LED_SINCE = replace(REQUESTED, own_version=6)


@pytest.mark.parametrize(
    ("views", "came_so"),
    [
        ((LED, FREE, REQUESTED), True),
        ((LED, FREE, REQUESTED, REQUESTED), True),
        ((FREE, REQUESTED, None, REQUESTED), True),  # an outage takes nothing away
        ((FREE, None, REQUESTED), True),
        ((REQUESTED, REPEATED), True),
        ((LED, LED_AND_REQUESTED, REQUESTED), False),
        ((LED, LED_AND_REQUESTED, REQUESTED, None, REQUESTED), False),
        ((LED, REQUESTED, REQUESTED), False),  # with the loss of the lock: before or after it
        ((LED, None, REQUESTED), False),
        ((REQUESTED, REQUESTED), False),  # an agent that was just started
        ((FREE, REQUESTED, LED_AND_REQUESTED, REQUESTED), False),  # somebody has led since
        ((FREE, REQUESTED, None, LED_SINCE), False),
        ((FREE, None, LED_SINCE), False),
        ((FREE, REQUESTED, FREE), False),
    ],
)
def test_a_request_that_came_when_nobody_led_is_known_as_such(views: tuple[ClusterView | None, ...], came_so: bool) -> None:
    readings = [reading(now=w.NOW + at, cluster=view) for at, view in enumerate(views)]
    assert after(*readings).failover_was_leaderless == came_so


def test_the_deadline_of_an_adopted_primary_is_forgotten_when_it_has_ended_or_is_a_standby() -> None:
    adopted = w.memory(adopted_deadline=w.NOW, adopted_boot_id="boot")
    for node in (w.stopped(), w.standby()):
        assert newest(adopted, cluster=None, node=node, paused=False, scope="demo").adopted_deadline is None
    for node in (w.primary(), w.primary(server=ServerState.UNREACHABLE, role=None)):
        assert newest(adopted, cluster=None, node=node, paused=False, scope="demo").adopted_deadline == w.NOW


def test_a_store_that_is_lost_is_noted_since_the_first_turn_without_it() -> None:
    seen = after(reading(cluster=None), reading(now=w.NOW + 5, cluster=None))
    assert seen.store_lost_since == w.NOW
    assert advance(seen, reading()).store_lost_since is None


def test_a_cluster_with_members_that_have_data_is_not_new() -> None:
    wiped = w.cluster(None, initialize=None)
    assert after(reading(cluster=wiped)).uninitialized_since is None
    assert after(reading(cluster=replace(wiped, members=()))).uninitialized_since == w.NOW


def test_crashes_in_a_row_share_one_budget() -> None:
    up, down = reading(node=w.primary(), lease=holding()), reading(node=w.stopped(), lease=holding())
    seen = after(up, replace(down, now=w.NOW + 10), replace(up, now=w.NOW + 14), replace(down, now=w.NOW + 20), replace(up, now=w.NOW + 21))
    assert (seen.down_s, seen.down_since) == (5.0, None)


def test_the_budget_is_whole_again_after_a_primary_was_healthy_for_as_long() -> None:
    up, down = reading(node=w.primary(), lease=holding()), reading(node=w.stopped(), lease=holding())
    seen = after(down, replace(up, now=w.NOW + 4), replace(up, now=w.NOW + 4 + 300))
    assert seen.down_s == 0.0


def test_the_first_checkpoint_of_a_timeline_is_seen_in_the_control_file_or_in_its_job() -> None:
    promoted = w.primary(timeline=2, directory=w.directory(control=w.control("in production", timeline=1)))
    seen = after(reading(node=promoted, lease=holding()))
    assert seen.checkpointed_timeline is None
    job = Outcome(kind=JobKind.CHECKPOINT, ended_at=w.NOW + 2, took_s=0.5)
    assert advance(seen, reading(now=w.NOW + 3, node=promoted, lease=holding(), outcomes=(job,))).checkpointed_timeline == 2
    written = w.primary(timeline=2, directory=w.directory(control=w.control("in production", timeline=2)))
    assert advance(seen, reading(now=w.NOW + 3, node=written, lease=holding())).checkpointed_timeline == 2


def test_a_server_was_last_seen_to_run_when_it_last_answered() -> None:
    starts = reading(now=w.NOW + 2, node=w.stopped(read_at=w.NOW + 2, server=ServerState.STARTING))
    stopped = reading(now=w.NOW + 3, node=w.stopped(read_at=w.NOW + 3))
    assert after(starts, stopped).running_at is None
    assert after(starts, reading(now=w.NOW + 9, node=w.standby(read_at=w.NOW + 8)), starts, stopped).running_at == w.NOW + 8


def test_a_hand_over_is_remembered_until_the_server_that_was_stopped_for_it_runs() -> None:
    seen = replace(NEW, demoting="c", demoting_since=w.NOW)
    down = reading(now=w.NOW + 9, node=w.stopped())
    starts = ((8, "port taken"), (-1, None), (8, None))
    failed, before, done = (Outcome(kind=JobKind.START, ended_at=w.NOW + at, took_s=0.5, error=error) for at, error in starts)
    for outcome in (failed, before):
        for node in (w.stopped(), w.primary()):
            assert advance(seen, replace(down, node=node, outcomes=(outcome,))).demoting == "c"
    assert advance(seen, replace(down, node=w.primary(), outcomes=(done,))).demoting is None
    assert advance(seen, replace(down, node=w.standby())).demoting is None


def test_the_newest_token_and_position_are_remembered() -> None:
    memory = newest(w.memory(token=1, lsn=None), cluster=w.cluster(own=w.own(token=3)), node=w.standby(), paused=False, scope="demo")
    assert (memory.token, memory.lsn, memory.members) == (3, w.POSITION, ("a", "b", "c"))


def test_what_was_seen_of_another_scope_is_forgotten_once_no_data_are_left_and_a_memory_that_names_none_is_kept() -> None:
    before = w.memory(scope="other", token=5, held_token=5)

    def after_it(memory: Memory, node: NodeState, scope: str = "demo") -> Memory:
        return newest(memory, scope=scope, cluster=w.cluster(None, own=None, own_version=None), node=node, paused=False)

    assert after_it(before, w.bare()) == Memory(token=5)
    for memory, node, scope in (
        (before, w.stopped(), "demo"),
        (replace(before, scope=None), w.bare(), "demo"),
        (before, w.bare(), "other"),
    ):
        assert after_it(memory, node, scope) == memory
    assert newest(Memory(), scope="demo", cluster=w.cluster(), node=w.bare(), paused=False).scope == "demo"


def test_a_store_that_went_back_changes_nothing_in_the_memory() -> None:
    before = w.memory(token=5, lsn=Lsn(w.POSITION + 7))
    assert newest(before, cluster=w.cluster(), node=w.standby(), paused=False, scope="demo") == before


def test_a_new_timeline_takes_its_own_position_also_where_that_is_behind() -> None:
    view = w.cluster(own=w.own(timeline=2), status=Status(optime=Lsn(10)))
    memory = newest(w.memory(timeline=1, lsn=w.POSITION), cluster=view, node=w.standby(), paused=False, scope="demo")
    assert (memory.timeline, memory.lsn) == (2, 10)


def test_the_others_are_asked_only_where_a_decision_can_rest_on_it() -> None:
    def needed(view: object, node: NodeState, lease: Lease | None, **seen: object) -> bool:
        return peers_are_needed(now=w.NOW, cluster=view, node=node, lease=lease, sightings=w.sightings(**seen))  # type: ignore[arg-type]

    assert not needed(w.cluster(), w.standby(), None)
    assert not needed(w.cluster("a"), w.primary(), holding())
    assert not needed(None, w.primary(), holding())
    assert needed(w.cluster(None), w.standby(), None)
    assert needed(w.cluster("a"), w.standby(), holding(lock=Lock(holder="a", instance="7")))
    assert needed(w.cluster("a", failover=w.request(leader="a")), w.primary(), holding())
    assert needed(w.cluster("a"), w.primary(), holding(), demoting="c")
    assert needed(w.cluster(), w.standby(), None, lock_stale_at=w.NOW - 1)
    assert not needed(w.cluster(), w.standby(), None, lock_stale_at=w.NOW + 1)


def test_a_held_lock_counts_as_gone_once_its_heartbeat_has_stood_still_for_ttl_and_margin() -> None:
    def stale_at(**fields: object) -> float | None:
        return after(reading(**fields)).lock_stale_at

    assert stale_at() == w.NOW + 30 + 3
    assert stale_at(cluster=w.cluster(own=w.own(ttl_s=60.0))) == w.NOW + 60 + 3
    assert stale_at(cluster=w.cluster(own=w.own(instance="8"))) is None  # the lock of another product
    assert stale_at(cluster=w.cluster(own=w.own(bootstrapping=True))) is None
    assert stale_at(policy=Policy(times=w.TIMES, pause=True)) is None
    assert stale_at(cluster=w.cluster(None)) is None
    assert stale_at(cluster=w.cluster("a"), lease=holding()) is None


def test_an_outage_of_the_store_is_not_held_against_the_holder() -> None:
    seen = after(reading(), reading(now=w.NOW + 1, cluster=None), reading(now=w.NOW + 90))
    assert seen.lock_stale_at == w.NOW + 90 + 30 + 3
