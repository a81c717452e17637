"""When the fence is due, and what keeps it fired."""

from hacore.guard.kernel import NS_PER_S
from hacore.guard.latch import Latch

NOW = 1000 * NS_PER_S
LATER = NOW + 5 * NS_PER_S
BUDGET = 2 * NS_PER_S


def armed(token: int = 1, deadline_ns: int = LATER, budget_ns: int = BUDGET) -> Latch:
    latch = Latch()
    assert latch.arm(token, deadline_ns, budget_ns, NOW) is None
    return latch


def fired(token: int = 1) -> Latch:
    latch = armed(token)
    latch.fire()
    return latch


def test_nothing_is_due_before_something_was_armed() -> None:
    latch = Latch()
    assert not latch.is_armed
    assert not latch.is_due(NOW)
    assert latch.backstop_ns == 0


def test_it_is_due_from_the_deadline_on_and_not_before() -> None:
    latch = armed()
    assert not latch.is_due(LATER - 1)
    assert latch.is_due(LATER)


def test_a_renewal_moves_the_deadline_either_way() -> None:
    latch = armed()
    latch.follow(LATER + NS_PER_S)
    assert not latch.is_due(LATER)
    latch.follow(LATER - NS_PER_S)
    assert latch.is_due(LATER - NS_PER_S)


def test_an_empty_word_does_not_disarm() -> None:
    latch = armed()
    latch.follow(0)
    assert latch.is_due(LATER)


def test_a_late_renewal_arms_nothing() -> None:
    for latch in (Latch(), fired()):
        latch.follow(LATER + NS_PER_S)
        assert not latch.is_armed
    latch = armed()
    latch.disarm()
    latch.follow(LATER)
    assert not latch.is_armed


def test_the_kernel_comes_half_a_second_before_f_or_at_half_of_a_short_budget() -> None:
    assert armed(budget_ns=2 * NS_PER_S).backstop_ns == LATER + 2 * NS_PER_S - NS_PER_S // 2
    assert armed(budget_ns=NS_PER_S // 2).backstop_ns == LATER + NS_PER_S // 4


def test_after_the_fence_only_a_larger_token_is_armed() -> None:
    latch = fired(token=5)
    assert latch.arm(5, LATER, BUDGET, NOW)
    assert latch.arm(4, LATER, BUDGET, NOW)
    assert latch.arm(6, LATER, BUDGET, NOW) is None
    assert latch.fired_token is None


def test_a_smaller_token_never_replaces_the_one_in_force() -> None:
    latch = armed(token=5)
    assert latch.arm(4, LATER, BUDGET, NOW)
    assert latch.arm(5, LATER + 1, BUDGET, NOW) is None
    assert latch.deadline_ns == LATER + 1


def test_what_has_passed_or_leaves_no_time_is_not_armed() -> None:
    assert Latch().arm(1, NOW, BUDGET, NOW)
    assert Latch().arm(1, LATER, 0, NOW)


def test_a_fence_that_fired_stays_so_when_disarmed() -> None:
    latch = fired()
    latch.disarm()
    assert latch.refusal_of_primary(1, NOW)


def test_a_primary_needs_the_armed_token_before_its_deadline() -> None:
    assert Latch().refusal_of_primary(1, NOW)
    assert armed(1).refusal_of_primary(2, NOW)
    assert armed(1).refusal_of_primary(1, LATER)
    assert armed(1).refusal_of_primary(1, NOW) is None


def test_a_primary_without_token_starts_unless_the_fence_has_fired() -> None:
    assert Latch().refusal_of_primary(None, NOW) is None
    assert fired().refusal_of_primary(None, NOW)
