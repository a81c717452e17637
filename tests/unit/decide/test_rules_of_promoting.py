"""What becomes of a promotion that fails, in the rules of all who take part in it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hacore.decide import decide
from hacore.model.jobs import JobKind
from hacore.model.node import FenceState, Role
from hacore.model.steps import PutRecord, ReleaseLease, RememberDemotion, StartServer
from hacore.model.world import World

from . import worlds as w

FAILED = w.outcome(JobKind.PROMOTE, ago_s=0.5, error="vetoed")


def holding(**fields: Any) -> World:
    """A standby called a that has taken the lock, and whose promotion has just failed."""
    values: dict[str, Any] = {
        "node": w.standby(fence=FenceState(armed=True, token=1)),
        "outcomes": (FAILED,),
        "sightings": w.sightings(down_since=w.NOW - 1),
        "peers": (w.peer("b"), w.peer("c")),
        "peers_asked": True,
    }
    return w.leading(**{**values, **fields})


@pytest.mark.parametrize(
    ("wish", "is_over"),
    [
        ({"leader": "b", "candidate": "a"}, True),
        ({"leader": "b"}, True),
        ({"candidate": "a"}, True),
        ({"candidate": "c"}, False),
        ({"leader": "b", "candidate": "a", "scheduled_at": w.WALL + timedelta(hours=1)}, False),
    ],
)
def test_a_promotion_that_failed_ends_the_wish_for_it_and_no_other(wish: dict[str, object], is_over: bool) -> None:
    steps = decide(holding(cluster=w.cluster("a", failover=w.request(**wish)))).steps
    assert [(type(step), getattr(step, "expected", None)) for step in steps] == [
        *([(PutRecord, 9)] if is_over else []),
        (ReleaseLease, None),
    ]


def test_whoever_could_not_be_promoted_tells_the_others_and_comes_last_for_ttl() -> None:
    failed = w.leaderless(outcomes=(w.outcome(JobKind.PROMOTE, ago_s=29.0, error="vetoed"),))
    assert failed.refuses_election is not None
    assert decide(failed).rule == "may_not_lead"
    later = replace(failed, now=w.NOW + 1)
    assert (later.refuses_election, decide(later).rule) == (None, "take_the_lock")
    assert replace(failed, node=w.primary()).refuses_election is None
    assert replace(failed, outcomes=(w.outcome(JobKind.PROMOTE),)).refuses_election is None


def test_a_candidate_that_could_not_be_promoted_in_a_pause_gives_up_the_wish_with_the_lock_and_does_not_take_it_again_at_once() -> None:
    """Else it would take, fail and give back without end: nobody else leads in a pause."""
    wish = w.request(leader="b", candidate="a")
    blank, release = decide(w.paused(holding(cluster=w.cluster("a", failover=wish)))).steps
    assert isinstance(blank, PutRecord)
    assert (blank.name, blank.value, blank.expected, release) == ("failover", "{}", 9, ReleaseLease(clean=True))
    free = w.paused(w.leaderless(cluster=w.cluster(None, failover=wish), outcomes=(FAILED,)))
    assert decide(free).rule == "nothing_in_pause"
    assert decide(replace(free, outcomes=(replace(FAILED, ended_at=w.NOW - 31),))).rule == "named_candidate_in_pause"
    assert decide(replace(free, outcomes=())).rule == "named_candidate_in_pause"


ENDED = w.stopped("in archive recovery", directory=w.directory(control=w.control("in archive recovery"), has_standby_signal=True))


def test_a_candidate_whose_server_its_promotion_has_ended_in_a_pause_gives_up_the_wish_too() -> None:
    wish = w.request(leader="b", candidate="a")
    down = w.paused(holding(node=ENDED, cluster=w.cluster("a", failover=wish)))
    assert [(type(step), getattr(step, "value", None)) for step in decide(down).steps] == [(PutRecord, "{}"), (ReleaseLease, None)]
    for fields in ({"outcomes": ()}, {"cluster": w.cluster("a")}, {"sightings": w.sightings(down_since=w.NOW)}):
        assert decide(replace(down, **fields)).steps == (ReleaseLease(clean=True),)


@pytest.mark.parametrize("seen", [pytest.param(w.world(), id="another leads"), pytest.param(w.leaderless(), id="nobody leads")])
def test_a_standby_whose_server_its_promotion_has_ended_in_a_pause_is_started_until_it_runs(seen: World) -> None:
    down = w.paused(replace(seen, node=ENDED, outcomes=(FAILED,)))
    assert [step.role for step in decide(down).steps if isinstance(step, StartServer)] == [Role.STANDBY]
    stays = (
        {"outcomes": ()},
        {"outcomes": (w.outcome(JobKind.PROMOTE),)},
        {"sightings": w.sightings(running_at=w.NOW)},  # a person has stopped it
        {"node": w.stopped("in production")},  # it was primary for a moment, and may have diverged
    )
    for fields in stays:
        assert decide(replace(down, **fields)).rule == "nothing_in_pause"


def test_nobody_waits_for_an_heir_that_has_had_the_lock_and_has_given_it_back() -> None:
    """A promotion that is refused may take a tenth of a second: that the lock was held stands in the own record alone."""
    handed_over = w.leaderless(
        node=w.stopped(),
        cluster=w.cluster(None, own=w.own(holder="a", clean="7")),
        memory=w.memory(held_token=1, held_instance="7"),
        sightings=w.sightings(demoting="c", demoting_since=w.NOW - 2, leaderless_since=w.NOW - 1),
        peers=(w.peer("c", refuses_election=True),),
    )
    assert (decide(handed_over).rule, decide(handed_over).steps) == ("wait_for_heir", ())
    over = replace(
        handed_over,
        cluster=w.cluster(None, own=w.own(holder="c", token=2, instance="8", clean="8")),
        memory=w.memory(token=2, held_token=1),
    )
    assert decide(over).steps == (RememberDemotion(candidate=None),)
    for then in (replace(over, sightings=w.sightings(leaderless_since=w.NOW - 1)), w.paused(over)):
        assert [step.role for step in decide(then).steps if isinstance(step, StartServer)] == [Role.STANDBY]
    leads = replace(over, cluster=w.cluster("c", own=w.own(holder="c", token=2, instance="8")))
    assert decide(leads).rule == "start_standby"
