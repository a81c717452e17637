"""The agent's heartbeat, and the watch that tells a slow agent from a stopped one."""

from hacore.daemon.heartbeat import StillWatch, create_heartbeat


def test_a_moving_word_never_counts_as_still() -> None:
    watch = StillWatch()
    assert [watch.look(beats, beats * 0.5, 0.5) for beats in range(1, 20)] == [0.0] * 19


def test_a_still_word_counts_the_time() -> None:
    watch = StillWatch()
    for tick in range(11):
        still_s = watch.look(7, 100 + tick * 0.5, 0.5)
    assert still_s == 5.0


def test_time_in_which_the_watcher_did_not_run_is_not_held_against_the_agent() -> None:
    watch = StillWatch()
    watch.look(7, 100.0, 2.0)
    assert watch.look(7, 4000.0, 2.0) == 2.5


def test_a_new_agent_starts_from_nothing() -> None:
    watch = StillWatch()
    watch.look(7, 100.0, 2.0)
    watch.look(7, 101.0, 2.0)
    watch.reset()
    assert watch.look(7, 102.0, 2.0) == 0.0


def test_the_agent_says_how_long_it_may_stand_still() -> None:
    fd, heartbeat = create_heartbeat()
    at_first_s = heartbeat.limit_s
    other = type(heartbeat).from_environment({"HACORE_AGENT_HEARTBEAT_FD": str(fd)})
    assert other is not None
    other.set_limit(5.0)
    other.beat()
    assert at_first_s > 5.0
    assert (heartbeat.limit_s, heartbeat.beats) == (5.0, 1)
    assert heartbeat.tick_s == 2.0
    heartbeat.clear()
    assert (other.limit_s, other.beats) == (at_first_s, 0)


def test_an_agent_without_a_main_process_has_no_heartbeat() -> None:
    fd, heartbeat = create_heartbeat()
    assert fd
    assert type(heartbeat).from_environment({}) is None
