"""The picture that the watch keeps, without a server."""

from hacore_dcs_etcd.picture import Change, Picture
from hacore_dcs_etcd.wire import Kv


def kv(name: str, value: str, version: int) -> Kv:
    return Kv(name=name, value=value, created=1, version=version, lease=0)


def put(name: str, value: str, version: int) -> Change:
    return Change(kv=kv(name, value, version), is_removal=False)


def removal(name: str, version: int) -> Change:
    return Change(kv=kv(name, "", version), is_removal=True)


def followed(*kvs: Kv, revision: int = 10, sent_at: float = 100.0) -> Picture:
    picture = Picture()
    picture.followed(5)
    picture.read(sent_at, revision, kvs)
    return picture


def values(picture: Picture, *, now: float = 100.0, max_age_s: float = 10.0) -> dict[str, str] | None:
    kept = picture.recall(now, max_age_s)
    return None if kept is None else {one.name: one.value for one in kept.kvs}


def test_nothing_is_recalled_before_a_reading_that_the_watch_goes_on_from() -> None:
    picture = Picture()
    assert values(picture) is None
    picture.read(100.0, 10, [kv("config", "1", 10)])
    assert values(picture) is None
    picture.followed(12)
    assert values(picture) is None
    picture.read(100.0, 11, [kv("config", "1", 10)])  # of a moment before the watch began
    assert values(picture) is None
    picture.read(100.0, 12, [kv("config", "1", 10)])
    assert values(picture) == {"config": "1"}


def test_changes_are_applied_and_those_that_the_reading_shows_are_not_applied_again() -> None:
    picture = followed(kv("config", "2", 9), kv("sync", "x", 8))
    picture.tell([put("config", "1", 7)])
    assert values(picture) == {"config": "2", "sync": "x"}
    picture.tell([put("hacore", "3", 11), removal("sync", 11)])
    assert values(picture) == {"config": "2", "hacore": "3"}


def test_a_reading_that_is_behind_what_was_told_is_not_kept() -> None:
    picture = followed()
    picture.tell([put("config", "new", 12)])
    picture.read(101.0, 11, [])
    assert values(picture) is None
    picture.read(102.0, 12, [kv("config", "new", 12)])
    assert values(picture, now=102.0) == {"config": "new"}


def test_an_interrupted_watch_leaves_nothing() -> None:
    picture = followed(kv("config", "1", 9))
    picture.interrupted()
    assert values(picture) is None
    picture.followed(10)
    assert values(picture) is None


def test_a_picture_ages_from_its_reading() -> None:
    picture = followed()
    assert values(picture, now=110.0) == {}
    assert values(picture, now=110.1) is None


def test_a_keep_alive_confirms_a_picture_that_shows_as_much() -> None:
    picture = followed()
    picture.confirm(105.0, 11)
    assert values(picture, now=112.0) is None  # something has happened that it does not show: another cluster's, or not told yet
    picture.tell([put("hacore", "1", 11)])
    picture.confirm(106.0, 11)
    kept = picture.recall(112.0, 10.0)
    assert kept is not None
    assert (kept.sent_at, kept.revision) == (106.0, 11)


def test_keep_alives_alone_do_not_confirm_for_ever() -> None:
    picture = followed()
    for second in range(100, 181):
        picture.confirm(float(second), 10)
        assert values(picture, now=float(second)) == {}
    picture.confirm(181.0, 10)
    assert values(picture, now=181.0) is None


def test_a_write_of_this_session_has_to_be_shown_and_then_proves_the_picture() -> None:
    picture = followed()
    picture.wrote(109.0, 12)
    assert values(picture, now=109.0) is None
    picture.tell([put("members/a", "1", 12)])
    kept = picture.recall(118.0, 10.0)
    assert kept is not None
    assert kept.sent_at == 109.0


def test_a_watch_that_is_faster_than_the_answer_proves_as_much() -> None:
    picture = followed()
    picture.tell([put("members/a", "1", 12)])
    picture.wrote(109.0, 12)
    kept = picture.recall(118.0, 10.0)
    assert kept is not None
    assert kept.sent_at == 109.0


def test_after_a_write_of_unknown_outcome_only_a_reading_will_do() -> None:
    picture = followed()
    picture.wrote(101.0, float("inf"))
    picture.tell([put("config", "1", 15)])
    assert values(picture) is None
    picture.read(102.0, 15, [kv("config", "1", 15)])
    assert values(picture, now=102.0) == {"config": "1"}
