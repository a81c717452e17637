from pathlib import Path

import pytest

from hacore.config import choose_times, effective
from hacore.config.timing import guard_times
from hacore.model.policy import Policy, Times
from tests.unit.config.samples import changed, load_values


def _times(ttl: float, loop_wait: float, retry_timeout: float) -> Times:
    return Times(ttl_s=ttl, loop_wait_s=loop_wait, retry_timeout_s=retry_timeout)


@pytest.mark.parametrize(
    ("dynamic", "wanted", "warnings"),
    [
        ({}, (30, 10, 10), 0),
        ({"ttl": 40, "loop_wait": 5, "retry_timeout": 15}, (40, 5, 15), 0),
        ({"ttl": 20}, (20, 1, 9), 1),
        ({"ttl": 20, "retry_timeout": 5}, (20, 10, 5), 0),
        ({"loop_wait": 20}, (30, 10, 10), 1),
        ({"retry_timeout": 14.5}, (30, 1, 14.5), 1),
        ({"retry_timeout": 20}, (30, 1, 14), 1),
        ({"ttl": 5}, (20, 1, 9), 2),
        ({"loop_wait": 0}, (30, 1, 10), 1),
        ({"retry_timeout": 1}, (30, 10, 3), 1),
        ({"ttl": "1min"}, (60, 10, 10), 0),
    ],
)
def test_the_periods_are_made_to_fit(dynamic: dict[str, object], wanted: tuple[float, float, float], warnings: int, tmp_path: Path) -> None:
    found = effective(load_values(changed({}), tmp_path).local, dynamic)
    assert (found.policy.times, len(found.warnings)) == (_times(*wanted), warnings)


@pytest.mark.parametrize(
    ("own", "wanted", "warnings"),
    [
        ({}, None, 0),
        ({"ttl": 5}, (5, 1, 2), 0),
        ({"ttl": 10, "loop_wait": 2}, (10, 2, 4), 0),
        ({"ttl": 5, "loop_wait": 0.5, "retry_timeout": 1}, (5, 0.5, 1), 0),
        ({"ttl": 5, "retry_timeout": 3}, (5, 0.2, 2.4), 1),
        ({"ttl": 5, "loop_wait": 4, "retry_timeout": 1}, (5, 3, 1), 2),
        ({"ttl": 1}, (3, 0.6, 1.2), 1),
        ({"loop_wait": 1}, None, 1),
    ],
)
def test_own_times_may_be_shorter(own: dict[str, object], wanted: tuple[float, float, float] | None, warnings: int, tmp_path: Path) -> None:
    found = effective(load_values(changed({}), tmp_path).local, {"hacore": own})
    times = found.policy.own_times
    assert (times is None) == (wanted is None)
    if times is not None and wanted is not None:
        assert (times.ttl_s, times.loop_wait_s, times.retry_timeout_s) == pytest.approx(wanted)
    assert len(found.warnings) == warnings, found.warnings


@pytest.mark.parametrize(("all_hacore", "ttl"), [(True, 5), (False, 30)])
def test_own_times_count_only_while_every_member_is_hacore(all_hacore: bool, ttl: float) -> None:
    policy = Policy(own_times=_times(5, 1, 2))
    assert choose_times(policy, all_members_hacore=all_hacore).ttl_s == ttl


def test_without_own_times_those_of_the_field_count() -> None:
    assert choose_times(Policy(), all_members_hacore=True) == Times()


@pytest.mark.parametrize(
    ("margin", "budget", "sets", "wanted", "warnings"),
    [
        (None, None, [(30, 10, 10)], (None, None), 0),
        (4.0, 2.0, [(30, 10, 10)], (4.0, 2.0), 0),
        (0.01, None, [(30, 10, 10)], (0.1, None), 1),
        (None, 0.1, [(30, 10, 10)], (None, 0.6), 1),
        (10.0, 10.0, [(30, 10, 10)], (None, None), 1),
        (2.0, 1.0, [(30, 10, 10), (5, 1, 2)], (None, None), 1),
        (8.0, 4.0, [(30, 10, 10)], (8.0, 4.0), 1),
        (None, None, [(5, 3, 1)], (None, None), 1),
    ],
)
def test_margin_and_budget_leave_room_for_the_lease(
    margin: float | None, budget: float | None, sets: list[tuple[float, float, float]], wanted: tuple[object, object], warnings: int
) -> None:  # fmt: skip
    found_margin, found_budget, said = guard_times(margin, budget, tuple(_times(*one) for one in sets))
    assert ((found_margin, found_budget), len(said)) == (wanted, warnings)


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ({}, (5.0, False)),
        ({"drain_timeout": "2s", "drain_policy": "abort"}, (2.0, True)),
        ({"drain_timeout": 0, "drain_policy": "proceed"}, (0.0, False)),
        ({"drain_timeout": -1, "drain_policy": "perhaps"}, (5.0, False)),
    ],
)
def test_how_long_routers_may_take_and_what_follows_where_they_do_not(
    section: dict[str, object], wanted: tuple[float, bool], tmp_path: Path
) -> None:
    policy = effective(load_values(changed({}), tmp_path).local, {"hacore": section}).policy
    assert (policy.drain_timeout_s, policy.drain_aborts) == wanted
