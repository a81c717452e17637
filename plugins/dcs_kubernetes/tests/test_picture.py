"""The picture that a watch keeps, without a server."""

import threading

from hacore_dcs_kubernetes.picture import Picture


def followed(revision: int = 10, sent_at: float = 100.0, **items: str) -> Picture[str]:
    picture: Picture[str] = Picture()
    picture.followed(sent_at, revision, items)
    return picture


def shown(picture: Picture[str], *, since: float = 100.0) -> dict[str, str] | None:
    kept = picture.recall(since)
    return None if kept is None else dict(kept.items)


def test_the_reading_that_a_watch_goes_on_from_is_kept_and_no_other_before_it() -> None:
    picture: Picture[str] = Picture()
    assert shown(picture) is None
    picture.read(100.0, 10, {"config": "1"})
    assert shown(picture) is None
    picture.followed(101.0, 12, {"config": "2"})
    assert shown(picture, since=101.0) == {"config": "2"}


def test_a_watch_that_begins_behind_a_reading_needs_another_one() -> None:
    """As after the store has gone back, or where the server of the watch is behind."""
    picture: Picture[str] = Picture()
    picture.read(100.0, 20, {"config": "new"})
    picture.followed(101.0, 12, {"config": "old"})
    assert shown(picture) is None
    picture.tell(14, "config", "older")
    picture.read(102.0, 13, {"config": "old"})  # of before what was told
    assert shown(picture) is None
    picture.read(103.0, 14, {"config": "older"})
    assert shown(picture, since=103.0) == {"config": "older"}


def test_changes_are_applied_and_those_that_the_reading_shows_are_not_applied_again() -> None:
    picture = followed(config="2", sync="x")
    picture.tell(7, "config", "1")
    assert shown(picture) == {"config": "2", "sync": "x"}
    picture.tell(11, "leader", "3")
    picture.tell(12, "sync", None)
    assert shown(picture) == {"config": "2", "leader": "3"}


def test_a_reading_that_is_behind_what_was_told_is_not_kept() -> None:
    picture = followed()
    picture.tell(12, "config", "new")
    picture.read(101.0, 11, {})
    assert shown(picture) is None
    picture.read(102.0, 12, {"config": "new"})
    assert shown(picture, since=102.0) == {"config": "new"}


def test_an_interrupted_watch_leaves_nothing() -> None:
    picture = followed(config="1")
    picture.interrupted()
    assert (shown(picture), picture.is_followed) == (None, False)
    picture.read(101.0, 11, {"config": "1"})
    picture.tell(12, "config", "2")
    assert shown(picture) is None
    picture.followed(102.0, 12, {"config": "2"})
    assert shown(picture) == {"config": "2"}


def test_a_picture_is_as_old_as_its_reading_whatever_a_bookmark_or_somebody_else_s_change_says() -> None:
    picture = followed()
    picture.tell(50)
    picture.tell(51, "config", "1")
    kept = picture.recall(100.0)
    assert kept is not None
    assert (kept.sent_at, kept.revision) == (100.0, 51)
    assert shown(picture, since=100.1) is None


def test_a_write_of_this_session_has_to_be_told_and_then_proves_the_picture() -> None:
    picture = followed()
    picture.wrote(109.0, 12)
    picture.tell(11, "other", "1")
    assert shown(picture) is None
    picture.tell(12, "leader", "1")
    assert shown(picture, since=109.0) == {"other": "1", "leader": "1"}


def test_a_bookmark_beyond_a_write_of_this_session_proves_as_much() -> None:
    picture = followed()
    picture.wrote(109.0, 12)
    picture.tell(13)
    assert shown(picture, since=109.0) == {}


def test_a_watch_that_is_faster_than_the_answer_proves_as_much() -> None:
    picture = followed()
    picture.tell(12, "leader", "1")
    picture.wrote(109.0, 12)
    assert shown(picture, since=109.0) == {"leader": "1"}


def test_after_a_write_of_unknown_outcome_only_a_reading_of_this_session_will_do() -> None:
    picture = followed()
    picture.wrote(101.0, float("inf"))
    picture.tell(15, "config", "1")
    picture.followed(102.0, 16, {"config": "1"})  # may have been on its way before that write was
    assert shown(picture) is None
    picture.read(103.0, 16, {"config": "1"})
    assert shown(picture, since=103.0) == {"config": "1"}


def test_what_was_written_is_waited_for_but_not_where_nobody_will_tell() -> None:
    picture = followed()
    picture.wrote(101.0, 12)
    teller = threading.Timer(0.05, lambda: picture.tell(12, "leader", "1"))
    teller.start()
    picture.wait(20.0)
    assert shown(picture, since=101.0) == {"leader": "1"}
    teller.join()
    picture.wrote(102.0, float("inf"))
    assert is_over_soon(picture)
    picture.wrote(103.0, 14)
    waiting = threading.Timer(0.05, picture.interrupted)
    waiting.start()
    assert is_over_soon(picture)
    waiting.join()


def is_over_soon(picture: Picture[str]) -> bool:
    waiting = threading.Thread(target=lambda: picture.wait(600.0), daemon=True)
    waiting.start()
    waiting.join(20.0)
    return not waiting.is_alive()
