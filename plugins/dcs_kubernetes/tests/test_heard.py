"""What follows from being heard of, without a server."""

import pytest

from hacore.testing.clocks import SetClock
from hacore_dcs_kubernetes.heard import Sent, of_member, pair, text_of


def test_who_was_heard_of_knows_when_the_other_wrote_at_the_earliest() -> None:
    clock = SetClock()
    sent = Sent(clock)
    sent.note("7.1", 100.0)
    clock.at = 130.0
    assert sent.proven(("7.1", 0.0)) == 100.0
    assert sent.proven(("7.1", 10.0)) == pytest.approx(109.0)  # by a clock that may be a tenth faster than this one


def test_nothing_is_proven_of_what_was_not_sent_here_or_is_yet_to_come() -> None:
    clock = SetClock()
    sent = Sent(clock)
    sent.note("7.1", 100.0)
    assert (sent.proven(None), sent.proven(("7.2", 1.0))) == (None, None)
    assert sent.proven(("7.1", 60.0)) == 100.0
    sent.forget()
    assert sent.proven(("7.1", 0.0)) is None


def test_what_may_have_been_sent_twice_counts_from_the_first_time() -> None:
    sent = Sent(SetClock(at=200.0))
    sent.note("7.1", 100.0)
    sent.note("7.1", 110.0)
    assert sent.proven(("7.1", 0.0)) == 100.0


def test_only_the_newest_are_kept() -> None:
    sent = Sent(SetClock(at=2000.0))
    for number in range(1000):
        sent.note(str(number), float(number))
    assert sent.proven(("0", 0.0)) is None
    assert sent.proven(("999", 0.0)) == 999.0


def test_the_annotation_tells_each_member_of_its_own_beat() -> None:
    text = text_of({"n3": ("9.4", 0.25), "n2": ("7.12", 10.00049)})
    assert text == '{"n2":["7.12",10.0],"n3":["9.4",0.25]}'
    assert of_member(text, "n2") == ("7.12", 10.0)
    assert of_member(text, "n1") is None


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "x", '"n2"', '["n2"]', '"n2"' + 200_000 * "["),
        *(f'{{"n2":{one}}}' for one in ("7", '["a"]', '["a",-1]', '["a",1e999]', f'["a",1{400 * "0"}]', 200_000 * "[")),
    ],
    ids=range(12),
)
def test_an_annotation_that_nobody_understands_proves_nothing(text: str | None) -> None:
    assert of_member(text, "n2") is None


def test_a_pair_is_a_name_and_seconds() -> None:
    assert pair(["w", 1]) == ("w", 1.0)
    assert pair([1, 1]) is None
