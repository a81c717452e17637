"""The rule that holds the periods of the lease together (interface reference 2.1, safety.md 3.4). What it changes, it says."""

from collections.abc import Mapping
from typing import Any, Final

from hacore.config.keys import Dynamic, Own, Reading
from hacore.model.policy import Policy, Times

_SHORTEST_LOOP_S: Final = 1.0
_OWN_SHORTEST_LOOP_S: Final = 0.2
_SMALLEST_MARGIN_S: Final = 0.1
_SMALLEST_BUDGET_S: Final = 0.6  # the kernel's own timer fires 0.5 s before the margin begins


def choose_times(policy: Policy, *, all_members_hacore: bool) -> Times:
    """Return the times in force: the own, shorter ones only while no other product shares the lease."""
    return policy.own_times if policy.own_times is not None and all_members_hacore else policy.times


def read_times(reading: Reading, warnings: list[str]) -> Times:
    """Read the field's three keys; whole seconds, as the field counts them."""
    ttl, loop_wait, retry_timeout = (reading.take(key) for key in (Dynamic.TTL, Dynamic.LOOP_WAIT, Dynamic.RETRY_TIMEOUT))
    times = Times(ttl_s=ttl, loop_wait_s=loop_wait, retry_timeout_s=retry_timeout)
    return fit(times, shortest_loop_s=_SHORTEST_LOOP_S, warnings=warnings, whole_seconds=True)


def read_own_times(section: Mapping[str, Any], reading: Reading, warnings: list[str]) -> Times | None:
    """Read the own section; what it leaves out follows from its ttl."""
    own = Reading(section, path=("hacore",), wrong=reading.wrong, raised=reading.raised)
    ttl, loop_wait, retry_timeout = (own.take(key) for key in (Own.TTL, Own.LOOP_WAIT, Own.RETRY_TIMEOUT))
    if ttl is None:
        if loop_wait is not None or retry_timeout is not None:
            warnings.append("hacore: loop_wait and retry_timeout count only together with ttl")
        return None
    loop_wait = ttl / 5 if loop_wait is None else loop_wait
    retry_timeout = (ttl - loop_wait) / 2 if retry_timeout is None else retry_timeout
    times = Times(ttl_s=ttl, loop_wait_s=loop_wait, retry_timeout_s=retry_timeout)
    return fit(times, shortest_loop_s=_OWN_SHORTEST_LOOP_S, warnings=warnings, place="hacore.")


def read_draining(section: Mapping[str, Any], reading: Reading) -> tuple[float, bool]:
    """Read how long routers may take to hold work back before a planned stop, and whether it is given up where they do not."""
    own = Reading(section, path=("hacore",), wrong=reading.wrong, raised=reading.raised)
    return own.take(Own.DRAIN_TIMEOUT), own.take(Own.DRAIN_POLICY) == "abort"


def fit(times: Times, *, shortest_loop_s: float, warnings: list[str], place: str = "", whole_seconds: bool = False) -> Times:
    """Make loop_wait + 2 * retry_timeout fit into ttl, by shortening the loop first and the retries only where that is not enough."""
    ttl, retry = times.ttl_s, times.retry_timeout_s
    if times.loop_wait_s + 2 * retry <= ttl:
        return times
    if shortest_loop_s + 2 * retry > ttl:
        loop, retry = shortest_loop_s, (ttl - shortest_loop_s) / 2
        retry = float(int(retry)) if whole_seconds else retry
    else:
        loop = ttl - 2 * retry
    warnings.append(
        f"{place}loop_wait + 2 * retry_timeout must not exceed {place}ttl ({ttl:g}): "
        f"loop_wait {loop:g} and retry_timeout {retry:g} are used"
    )
    return Times(ttl_s=ttl, loop_wait_s=loop, retry_timeout_s=retry)


def guard_times(margin_s: float | None, budget_s: float | None, sets: tuple[Times, ...]) -> tuple[float | None, float | None, list[str]]:
    """Check margin and budget against every set of times that may be in force.

    :returns: margin and budget to use, ``None`` where they follow from the ttl, and what there is to say.
    """
    warnings: list[str] = []
    shortest = min(times.ttl_s for times in sets)
    margin_s = _raised("guard.margin", margin_s, _SMALLEST_MARGIN_S, warnings)
    budget_s = _raised("guard.budget", budget_s, _SMALLEST_BUDGET_S, warnings)
    policy = Policy(margin_s=margin_s, budget_s=budget_s)
    if policy.margin(shortest) + policy.budget(shortest) > shortest / 2:
        warnings.append(f"guard.margin + guard.budget must not exceed half of the ttl ({shortest:g}): the defaults are used")
        margin_s = budget_s = None
        policy = Policy()
    for times in sets:
        needed = times.loop_wait_s + times.retry_timeout_s + policy.margin(times.ttl_s) + policy.budget(times.ttl_s)
        if needed > times.ttl_s + 1e-9:
            warnings.append(
                f"loop_wait + retry_timeout + margin + budget ({needed:g}) exceed ttl ({times.ttl_s:g}): one lost answer may cost the lease"
            )
    return margin_s, budget_s, warnings


def _raised(name: str, value: float | None, minimum: float, warnings: list[str]) -> float | None:
    if value is None or value >= minimum:
        return value
    warnings.append(f"{name}: {value:g} is below the minimum, {minimum:g} is used")
    return minimum
