"""For how long the main process counts its guard as silent."""

from pathlib import Path

from hacore.daemon.guard_link import GuardLink


def test_silence_is_counted_over_the_looks_that_were_made(tmp_path: Path) -> None:
    link = GuardLink(str(tmp_path), str(tmp_path), {})
    silent = []
    for now_s in (100.0, 105.0, 110.0, 121.0):
        link.check(now_s)
        silent.append(link.silent_s)
    assert silent == [0.0, 0.0, 10.0, 21.0]


def test_the_time_of_a_suspended_machine_is_no_silence(tmp_path: Path) -> None:
    link = GuardLink(str(tmp_path), str(tmp_path), {})
    link.check(100.0)
    link.check(4000.0)
    assert link.silent_s < 15.0
