"""The picture that the watch keeps, without a server: what proves its age, and what makes it useless."""

import math

import pytest

from hacore_dcs_consul.picture import Kept, Picture
from hacore_dcs_consul.wire import Kv


def shown(sent_at: float, index: int) -> Kept:
    kv = Kv(name="hacore", value=str(index), created=1, version=index, session="")
    return Kept(sent_at=sent_at, index=index, found={"hacore": kv})


@pytest.fixture
def picture() -> Picture:
    picture = Picture()
    picture.tell(shown(100.0, 5))
    return picture


def recalled(picture: Picture, now: float, max_age_s: float = 15.0) -> tuple[float, int] | None:
    kept = picture.recall(now, max_age_s)
    return None if kept is None else (kept.sent_at, kept.index)


def test_an_answer_is_as_old_as_its_question(picture: Picture) -> None:
    assert recalled(picture, 115.0) == (100.0, 5)
    assert recalled(picture, 115.1) is None


def test_the_same_answer_to_a_later_question_is_younger(picture: Picture) -> None:
    picture.tell(shown(110.0, 5))
    assert recalled(picture, 125.0) == (110.0, 5)


def test_what_is_newer_than_a_picture_is_known_to_be_as_young(picture: Picture) -> None:
    picture.read(shown(109.0, 5))
    picture.tell(shown(101.0, 6))  # asked before the reading, answered after it
    assert recalled(picture, 124.0) == (109.0, 6)


def test_of_two_stores_or_of_two_orders_nothing_is_kept(picture: Picture) -> None:
    picture.read(shown(109.0, 4))
    assert recalled(picture, 109.0) is None
    picture.tell(shown(110.0, 3))
    assert recalled(picture, 110.0) == (110.0, 3)


@pytest.mark.parametrize("index", [6, math.inf])
def test_a_write_of_this_session_is_never_missing(picture: Picture, index: float) -> None:
    picture.wrote(index)
    picture.wrote(2)
    assert recalled(picture, 101.0) is None
    picture.tell(shown(101.0, 6))
    assert recalled(picture, 101.0) == (None if math.isinf(index) else (101.0, 6))
    picture.read(shown(102.0, 6))
    assert recalled(picture, 102.0) == (102.0, 6)


def test_nothing_is_kept_while_nobody_tells(picture: Picture) -> None:
    picture.interrupted()
    picture.read(shown(101.0, 6))
    assert recalled(picture, 101.0) is None
    picture.tell(shown(102.0, 6))
    assert recalled(picture, 102.0) == (102.0, 6)
