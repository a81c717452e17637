"""The program that fetches, with tools of every behaviour, in both modes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.postgres.archive_shim import ShimNotes, end_hanging_fetch, read_notes
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from tests.unit.postgres.archive_site import HISTORY, MIB, MISSING, QUICK, SEGMENT, Site, executed, expand, run, stored, until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=["restore", "standby"])
def mode(site: Site, request: pytest.FixtureRequest) -> str:
    {"restore": site.restoring, "standby": site.standing_by}[request.param]()
    return str(request.param)


def test_a_segment_that_is_there_is_fetched_whole(site: Site, mode: str) -> None:
    content = stored(site)
    assert site.fetch() == 0, mode
    assert site.fetched == content
    assert not site.leftovers()


def test_a_history_file_that_is_there_is_fetched(site: Site, mode: str) -> None:
    stored(site, HISTORY, b"1\t0/3000000\tno recovery target specified\n")
    assert site.fetch(HISTORY, "pg_wal/RECOVERYHISTORY") == 0, mode
    assert (site.data_dir / "pg_wal" / "RECOVERYHISTORY").read_bytes().startswith(b"1\t")


def test_pg_rewind_fetches_from_where_it_stands_with_an_absolute_path(site: Site, tmp_path: Path) -> None:
    content = stored(site)
    path = site.data_dir / "pg_wal" / SEGMENT
    quoted = str(path).replace('"', '\\"').replace("$", "\\$")  # PostgreSQL itself would not survive such a path
    assert site.fetch(path=quoted, cwd=tmp_path) == 0
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", [SEGMENT, HISTORY])
def test_missing_is_1_in_both_modes_at_once(site: Site, mode: str, name: str) -> None:
    assert site.fetch(name) == 1, mode
    assert read_notes(site.state) == ShimNotes()


@pytest.mark.parametrize("code", [1, 2, 25, 73, 103, 125, 126, 127, 255])
def test_every_other_code_is_broken(site: Site, mode: str, code: int) -> None:
    site.fetching(f'touch "$2"; exit {code}')
    answer = site.fetch()
    assert answer > 125 if mode == "restore" else answer == 1
    assert site.fetched is None
    assert not site.leftovers()


@pytest.mark.parametrize("how", list(Misbehaviour))
def test_no_tool_that_misbehaves_ends_a_restore_or_a_standby(site: Site, mode: str, how: Misbehaviour) -> None:
    path = misbehaving_tool(site.tools / "bad", how)
    site.made(fetch=(str(path), "%f", "%p"))
    answer = site.fetch()
    assert answer > 125 if mode == "restore" else answer == 1
    assert site.fetched is None


@pytest.mark.parametrize("body", ["exit 0", 'touch "$2"', 'head -c 1000000 /dev/zero >"$2"', 'head -c 1048577 /dev/zero >"$2"'])
def test_a_segment_of_another_size_is_broken_whatever_the_tool_says(site: Site, mode: str, body: str) -> None:
    site.fetching(body)
    answer = site.fetch()
    assert answer > 125 if mode == "restore" else answer == 1
    assert site.fetched is None


def test_an_empty_history_file_is_broken(site: Site, mode: str) -> None:
    stored(site, HISTORY, b"")
    assert (site.fetch(HISTORY) > 125) == (mode == "restore")


def test_where_the_size_of_a_segment_is_not_known_it_is_of_whole_mebibytes(site: Site) -> None:
    site.shim = replace(site.shim, place=replace(site.shim.place, segment_bytes=None))
    site.shim.write()
    stored(site, content=bytes(3 * MIB))
    assert site.fetch() == 0
    stored(site, content=bytes(3 * MIB - 1))
    assert site.fetch() == 1


def test_a_tool_that_is_not_there_is_broken(site: Site, mode: str) -> None:
    site.made(fetch=("/nowhere/tool", "%f", "%p"))
    assert (site.fetch() > 125) == (mode == "restore")


def test_in_a_restore_an_archive_that_comes_back_in_time_loses_nothing(site: Site) -> None:
    site.restoring()
    content = stored(site)
    body = '[ -e "$STORE/well" ] || { touch "$STORE/well"; exit 103; }\ncp "$STORE/$1" "$2"'
    site.fetching(body, limits=replace(QUICK, restore_s=60))
    assert site.fetch() == 0
    assert site.fetched == content
    assert read_notes(site.state).fetches_broken == 1


def test_in_a_restore_a_history_file_of_a_broken_archive_is_not_taken_for_missing(site: Site) -> None:
    site.restoring()
    site.fetching("exit 1")
    assert site.fetch(HISTORY) > 125


def test_a_standby_waits_for_a_history_file_for_a_short_time_only(site: Site) -> None:
    site.standing_by()
    site.fetching("sleep 50", fetch_limit_s=40.0)
    began = time.monotonic()
    assert site.fetch(HISTORY) == 1
    assert time.monotonic() - began < 10


def test_a_standby_counts_what_is_broken_and_says_it_once_a_minute(site: Site) -> None:
    site.standing_by()
    site.fetching("echo 'no such bucket' >&2; exit 1")
    said = [run(site.shim.restore_command, "pg_wal/RECOVERYXLOG", SEGMENT, site.data_dir).stderr for _ in range(3)]
    assert ["no such bucket" in text for text in said] == [True, False, False]
    notes = read_notes(site.state)
    assert notes.fetches_broken == 3
    assert "no such bucket" in (notes.last_fetch_broken or "")


@pytest.mark.parametrize("left", ["", "nonsense\n", "7\n", "x y z\n", "99999 99999999999 1 a\n"])
def test_a_spoilt_counter_changes_no_answer(site: Site, mode: str, left: str) -> None:
    site.fetching("exit 1")
    (site.state / "fetch.broken").write_text(left)
    assert (site.fetch() > 125) == (mode == "restore")
    assert read_notes(site.state).fetches_broken > 0


def test_a_state_directory_that_takes_nothing_is_no_missing_file(site: Site, mode: str) -> None:
    """The codes of a shell that cannot redirect are among those of tools that mean "missing"."""
    site.fetching('cp "$STORE/$1" "$2"', missing_codes=(1, 2))
    for name in ("fetch.said", "fetch.broken", "fetch.pid"):
        (site.state / name).mkdir()
    content = stored(site)
    assert site.fetch() == 0, mode
    assert site.fetched == content


def test_without_its_environment_nothing_is_run(site: Site, mode: str) -> None:
    (site.state / "environment").unlink()
    stored(site)
    assert (site.fetch() > 125) == (mode == "restore")


def test_what_an_earlier_run_left_is_removed(site: Site) -> None:
    (site.data_dir / "pg_wal" / f".hacore.{SEGMENT}.1").touch()
    stored(site)
    assert site.fetch() == 0
    assert not site.leftovers()


def test_standby_signal_comes_before_recovery_signal_as_in_postgresql(site: Site) -> None:
    site.restoring()
    site.standing_by()
    site.fetching("exit 103")
    assert site.fetch() == 1


def test_without_any_signal_file_broken_does_not_stop_pg_rewind_by_a_signal(site: Site) -> None:
    site.fetching("exit 103")
    assert site.fetch() == 1


def attempts(site: Site, path: str = "asked") -> int:
    found = site.store / path
    return len(found.read_text().split()) if found.exists() else 0


def test_an_archive_that_hangs_holds_up_a_standby_once_and_is_asked_again_later_with_patience(site: Site) -> None:
    site.standing_by()
    site.fetching(
        'echo x >>"$STORE/asked"; sleep 2; cp "$STORE/$1" "$2"', limits=replace(QUICK, standby_s=0.3, calm_s=3600), fetch_limit_s=30.0
    )
    content = stored(site)
    assert [site.fetch(), site.fetch(), site.fetch(HISTORY)] == [1, 1, 1]
    assert attempts(site) == 1
    site.made(fetch=site.shim.settings.fetch, limits=replace(QUICK, standby_s=0.3, calm_s=0), fetch_limit_s=30.0)
    assert [site.fetch(), site.fetch()] == [0, 0], "known to be slow, it has all of its time"
    assert site.fetched == content
    site.made(limits=replace(QUICK, standby_s=0.3, calm_s=3600))
    assert site.fetch() == 0


def test_in_a_restore_nobody_minds_that_the_archive_hung_before(site: Site) -> None:
    (site.state / "fetch.hung").write_text("1\n")
    site.restoring()
    stored(site)
    assert site.fetch() == 0


@pytest.mark.parametrize("left", ["", "x\n", "99999999999\n"])
def test_a_spoilt_note_of_a_hanging_archive_costs_nothing(site: Site, left: str) -> None:
    (site.state / "fetch.hung").write_text(left)
    site.standing_by()
    stored(site)
    assert site.fetch() == 0


def test_a_history_that_is_in_pg_wal_already_is_not_asked_for_on_a_standby(site: Site) -> None:
    site.standing_by()
    site.fetching('echo x >>"$STORE/asked"; exit 74')
    (site.data_dir / "pg_wal" / HISTORY).write_text("1\t0/3000000\tno recovery target specified\n")
    assert site.fetch(HISTORY, "pg_wal/RECOVERYHISTORY") == 1
    assert attempts(site) == 0
    (site.data_dir / "pg_wal" / HISTORY).write_text("")
    assert site.fetch(HISTORY, "pg_wal/RECOVERYHISTORY") == 1
    assert attempts(site) == 1


def started(site: Site, signalled: Callable[[Path], bool]) -> "subprocess.Popen[bytes]":
    words = ["sh", "-c", expand(site.shim.restore_command, "pg_wal/RECOVERYXLOG", SEGMENT)]
    process = subprocess.Popen(words, cwd=site.data_dir, stderr=subprocess.DEVNULL, start_new_session=True)
    until(lambda: signalled(site.store / "at_work"))
    return process


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in {b"Z", b"X"}
    except FileNotFoundError:
        return True


SLOW = 'echo $$ >"$STORE/at_work.new"; mv "$STORE/at_work.new" "$STORE/at_work"; exec sleep 60'


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_when_the_server_ends_the_tool_ends_with_the_program(site: Site, mode: str, signum: signal.Signals) -> None:
    site.fetching(SLOW, fetch_limit_s=60.0)
    process = started(site, Path.exists)
    tool = int((site.store / "at_work").read_text())
    os.killpg(process.pid, signum)
    answer = process.wait(10)
    assert answer > 125 if mode == "restore" or signum is signal.SIGQUIT else answer == 1
    until(lambda: is_gone(tool))


def test_a_fetch_whose_server_has_gone_puts_nothing_in_place(site: Site) -> None:
    stored(site)
    site.fetching('touch "$STORE/at_work"; while [ ! -e "$STORE/go" ]; do sleep 0.05; done; cp "$STORE/$1" "$2"', fetch_limit_s=30.0)
    command = expand(site.shim.restore_command, "pg_wal/RECOVERYXLOG", SEGMENT)
    # The server's part: it starts the command and is killed.
    server = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run(['sh', '-c', {command!r}])"], cwd=site.data_dir)
    until((site.store / "at_work").exists)
    program = int((site.state / "fetch.pid").read_text().split()[0])
    server.kill()
    server.wait()
    (site.store / "go").touch()
    until(lambda: is_gone(program))
    assert site.fetched is None
    assert not site.leftovers()


def test_a_hanging_fetch_can_be_ended_as_if_the_file_were_missing(site: Site) -> None:
    site.standing_by()
    assert not end_hanging_fetch(site.state, longer_than_s=0)
    site.fetching(SLOW, fetch_limit_s=60.0)
    process = started(site, Path.exists)
    assert not end_hanging_fetch(site.state, longer_than_s=3600)
    assert end_hanging_fetch(site.state, longer_than_s=0)
    assert process.wait(10) == 1
    assert not end_hanging_fetch(site.state, longer_than_s=0)


def test_a_process_that_has_got_the_number_of_an_old_fetch_is_left_alone(site: Site) -> None:
    (site.state / "fetch.pid").write_text(f"{os.getpid()} 1\n")
    assert not end_hanging_fetch(site.state, longer_than_s=0)


@pytest.mark.parametrize(("code", "answers"), [(0, (0, 0)), (MISSING, (1, 1)), (103, (126, 1))])
def test_another_shell_answers_alike(site: Site, code: int, answers: tuple[int, int]) -> None:
    """``/bin/sh`` is bash on some systems."""
    stored(site)
    site.fetching(f'[ {code} -ne 0 ] || cp "$STORE/$1" "$2"\nexit {code}')
    words = ["bash", "--posix", str(site.shim.fetch_program), SEGMENT, "pg_wal/RECOVERYXLOG"]
    site.restoring()
    in_restore = executed(words, site.data_dir).returncode
    site.standing_by()
    assert (in_restore, executed(words, site.data_dir).returncode) == answers
