"""What can happen to the file that all agents of a machine share."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Dcs, Put, Refused, RenewRequest, WriteRequest, Written
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, Wakes, look, now, renew, request_for, take, takes_at_most, written
from hacore_dcs_sqlite.dcs import SqliteDcs
from hacore_dcs_sqlite.file import STOPPED_INSIDE_S
from hacore_dcs_sqlite.plugin import SqlitePlugin
from hacore_dcs_sqlite.settings import SqliteSettings

LONGER_THAN_THE_TIMER_S = 6.0  # the one of opening
STOPS_ITSELF_INSIDE = """
import os, signal, sys
from pathlib import Path
from hacore.model.clock import BootClock
from hacore_dcs_sqlite.file import StoreFile
from hacore_dcs_sqlite.tables import SCRIPT
clock = BootClock()
file = StoreFile(Path(sys.argv[1]), clock, SCRIPT)
with file.transaction("write", until=clock.now() + 5) as connection:
    connection.execute("UPDATE store SET revision = 1000000")
    print("inside", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""

OPENS = """
import sys
from pathlib import Path
from hacore.errors import DcsUnavailableError
from hacore.model.clock import BootClock
from hacore_dcs_sqlite.file import StoreFile
from hacore_dcs_sqlite.tables import SCRIPT
clock = BootClock()
try:
    with StoreFile(Path(sys.argv[1]), clock, SCRIPT).transaction(sys.argv[2], until=clock.now() + float(sys.argv[3])):
        print("inside")
except DcsUnavailableError:
    print("unknown")
"""
HOLDS = """
import sys
from pathlib import Path
from hacore.model.clock import BootClock
from hacore_dcs_sqlite.file import StoreFile
from hacore_dcs_sqlite.tables import SCRIPT
clock = BootClock()
file = StoreFile(Path(sys.argv[1]), clock, SCRIPT)
with file.transaction("write", until=clock.now() + 5) as connection:
    connection.execute("UPDATE store SET revision = revision + 1")
print("open", flush=True)
sys.stdin.read()
file.close()
"""


@pytest.fixture
def path(scratch: Path) -> Path:
    return scratch / "store.db"


@pytest.fixture
def a(path: Path) -> Iterator[Dcs]:
    with contextlib.closing(opened(path, "a")) as session:
        yield session


@pytest.fixture
def b(path: Path) -> Iterator[Dcs]:
    with contextlib.closing(opened(path, "b")) as session:
        yield session


def opened(path: Path, member: str) -> Dcs:
    return SqlitePlugin(SqliteSettings(path=path)).hacore_open_dcs(request_for("demo", member))


def test_a_process_stopped_inside_a_transaction_is_ended_and_the_others_go_on(path: Path, a: Dcs) -> None:
    written(a, Put(name="config", value="1"))
    with subprocess.Popen([sys.executable, "-c", STOPS_ITSELF_INSIDE, str(path)], stdout=subprocess.PIPE) as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == b"inside\n"
        with takes_at_most(STOPPED_INSIDE_S):
            assert isinstance(a.write(WriteRequest(puts=(Put(name="config", value="2"),)), timeout_s=2 * STOPPED_INSIDE_S), Written)
        assert stopped.wait(CALL_S) == -signal.SIGKILL
    seen = look(a)
    assert seen.records["config"].value == "2"
    assert seen.revision is not None
    assert seen.revision < 1_000_000


def test_a_process_that_its_disk_holds_up_in_a_transaction_for_seconds_goes_on(path: Path, a: Dcs) -> None:
    held_up = STOPS_ITSELF_INSIDE.replace("os.kill(os.getpid(), signal.SIGSTOP)", "__import__('time').sleep(3)")
    assert held_up != STOPS_ITSELF_INSIDE
    subprocess.run([sys.executable, "-c", held_up, str(path)], check=True, stdout=subprocess.DEVNULL)
    assert look(a).revision == 1_000_000


def test_a_transaction_that_somebody_forgot_ends_a_write_at_its_limit_and_lets_readers_read(path: Path, a: Dcs) -> None:
    lock = take(a, 30.0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as forgotten:
        forgotten.execute("BEGIN IMMEDIATE")
        with takes_at_most(0.5), pytest.raises(DcsUnavailableError):
            a.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=0.5)
        assert look(a).lock == lock
    renew(a, lock, 30.0)


def test_whoever_opens_a_new_file_in_a_forgotten_transaction_waits_for_as_long_as_the_call_may_take(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as forgotten:
        forgotten.execute("PRAGMA journal_mode=WAL")
        forgotten.execute("BEGIN IMMEDIATE")
        assert opens(path, "read", within_s=LONGER_THAN_THE_TIMER_S) == "unknown"
        forgotten.execute("ROLLBACK")
    assert opens(path, "write", within_s=CALL_S) == "inside"


def test_a_forgotten_transaction_lets_whoever_opens_the_file_read_it(path: Path, a: Dcs) -> None:
    written(a, Put(name="config", value="1"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as forgotten:
        forgotten.execute("BEGIN IMMEDIATE")
        assert opens(path, "read", within_s=CALL_S) == "inside"
        assert opens(path, "write", within_s=0.2) == "unknown"
        with contextlib.closing(opened(path, "b")) as late:
            assert look(late).records["config"].value == "1"


def test_a_deleted_file_is_an_empty_store_at_once(path: Path, a: Dcs, b: Dcs) -> None:
    lock = take(a, 30.0, Put(name="config", value="1"))
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
    assert renew(a, lock, 30.0) == Refused(holder=None)
    assert (look(b).lock, dict(look(b).records)) == (None, {})
    written(a, Put(name="config", value="2"))
    assert look(b).records["config"].value == "2"
    assert take(a, 30.0).instance != lock.instance, "what counts holdings would begin anew"
    assert renew(a, lock, 30.0) == Refused(holder="a")


def test_a_file_deleted_without_its_log_does_not_come_back_from_it(path: Path, a: Dcs, b: Dcs) -> None:
    written(a, Put(name="config", value="1"))
    path.unlink()
    assert dict(look(b).records) == {}
    written(b, Put(name="status", value="2"))
    assert {name: record.value for name, record in look(a).records.items()} == {"status": "2"}
    integrity(path)


def test_a_copy_restored_in_place_is_a_transaction_like_any_other(path: Path, a: Dcs, b: Dcs) -> None:
    written(a, Put(name="config", value="old"))
    with contextlib.closing(sqlite3.connect(path)) as live, contextlib.closing(sqlite3.connect(":memory:")) as copy:
        live.backup(copy)
        written(a, Put(name="config", value="new"))
        before = look(b)
        copy.backup(live)
    seen = look(b)
    assert seen.records["config"].value == "old"
    assert before.revision is not None
    assert seen.revision is not None
    assert seen.revision < before.revision
    assert seen.records["config"].received_at > before.sent_at


def test_a_reboot_ends_locks_and_member_records_and_keeps_the_rest(path: Path, a: Dcs, b: Dcs) -> None:
    lock = take(a, 30.0, Put(name="config", value="1"))
    a.publish("member", ttl_s=30.0, timeout_s=CALL_S)
    with contextlib.closing(sqlite3.connect(path)) as hand, hand:
        hand.execute("UPDATE lock SET boot_id = 'of the boot before'")
        hand.execute("UPDATE record SET boot_id = 'of the boot before' WHERE boot_id IS NOT NULL")
    seen = look(b)
    assert (seen.lock, dict(seen.members)) == (None, {})
    assert seen.records["config"].value == "1"
    assert renew(a, lock, 30.0) == Refused(holder=None)
    assert take(b, 30.0).instance != lock.instance


def test_the_file_is_for_its_user_alone_unless_it_was_created_otherwise(path: Path, scratch: Path, a: Dcs) -> None:
    look(a)
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in scratch.glob("store.db*")} == {
        "store.db": "0o600",
        "store.db-opened": "0o600",
        "store.db-shm": "0o600",
        "store.db-wal": "0o600",
    }
    shared = scratch / "shared.db"
    shared.touch()
    shared.chmod(0o660)
    with contextlib.closing(opened(shared, "a")) as session:
        written(session, Put(name="config", value="1"))
        assert {oct(one.stat().st_mode & 0o777) for one in scratch.glob("shared.db*")} == {"0o660"}


def test_users_of_a_group_share_a_file_in_a_directory_that_hands_its_group_on(scratch: Path) -> None:
    scratch.chmod(0o711)
    directory = scratch / "shared"
    directory.mkdir()
    path = directory / "store.db"
    path.touch()
    users: list[dict[str, Any]] = [{}, {}]  # not root: both are ourselves
    if os.geteuid() == 0:
        users = [{"user": 20001, "group": 20001, "extra_groups": [20100]}, {"user": 20002, "group": 20002, "extra_groups": [20100]}]
        os.chown(directory, 0, 20100)
        os.chown(path, 0, 20100)
    directory.chmod(0o2770)
    path.chmod(0o660)
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **users[0]) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        assert opens(path, "write", within_s=CALL_S, **users[1]) == "inside"
        first.communicate()
    assert opens(path, "write", within_s=CALL_S, **users[1]) == "inside"


def test_a_missing_directory_is_a_fault_of_the_configuration(scratch: Path) -> None:
    with pytest.raises(ConfigError, match="no directory"):
        opened(scratch / "nowhere" / "store.db", "a")


def test_a_directory_that_vanishes_is_a_store_that_does_not_answer(path: Path, a: Dcs) -> None:
    written(a, Put(name="config", value="1"))
    away = path.parent.with_name(f"{path.parent.name}-away")
    path.parent.rename(away)
    try:
        with pytest.raises(DcsUnavailableError):
            look(a)
    finally:
        away.rename(path.parent)
    assert look(a).records["config"].value == "1"


def test_a_file_that_is_no_store_is_left_alone(path: Path) -> None:
    path.write_bytes(b"something else of more than a few bytes" * 100)
    with pytest.raises(DcsUnavailableError, match="not a database"):
        opened(path, "a")
    assert path.read_bytes().startswith(b"something else")


def test_a_file_of_a_newer_format_is_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="99"):
        opened(path, "a")


def test_many_that_open_a_new_file_at_once_all_succeed(path: Path) -> None:
    sessions: list[Dcs] = []
    threads = [threading.Thread(target=lambda name=f"m{number}": sessions.append(opened(path, name))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 8
    for session in sessions:
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
    assert len(look(sessions[0]).members) == 8
    for session in sessions:
        session.close()


def test_the_log_does_not_grow_without_end(path: Path, a: Dcs) -> None:
    for number in range(400):
        written(a, Put(name="config", value=str(number) + "x" * 10_000))
    assert Path(f"{path}-wal").stat().st_size < 8 << 20
    integrity(path)


def test_a_wake_follows_the_commit_within_milliseconds(a: Dcs, b: Dcs) -> None:
    wakes = Wakes()
    b.watch(wakes)
    wakes.quiet()
    delays = []
    for number in range(20):
        before = wakes.quiet(0.12)
        written(a, Put(name="config", value=str(number)))
        committed_at = time.monotonic()
        assert wakes.within(1.0, after=before)
        delays.append(time.monotonic() - committed_at)
    assert sorted(delays)[len(delays) // 2] < 0.05


def test_a_watch_outlives_an_error_that_it_does_not_know(a: Dcs) -> None:
    wakes, failures = Wakes(), [RuntimeError("can't start new thread")]

    def wake() -> None:
        if failures:
            raise failures.pop()
        wakes()

    a.watch(wake)
    assert wakes.within(EVENTUALLY_S, after=0)


def test_the_watch_sleeps_while_nothing_happens(a: Dcs, b: Dcs) -> None:
    b.watch(Wakes())
    time.sleep(0.5)
    before = os.times()
    time.sleep(1.0)
    after = os.times()
    assert (after.user + after.system) - (before.user + before.system) < 0.05


def test_two_challengers_of_an_expired_lock_get_one_lock(a: Dcs, b: Dcs) -> None:
    take(a, 0.2)
    time.sleep(0.25)
    request = AcquireRequest(ttl_s=30.0)
    answers = [session.acquire(request, timeout_s=CALL_S) for session in (b, a)]
    assert [type(answer) for answer in answers] == [Acquired, Refused]


def test_a_late_turn_is_not_taken(path: Path, a: Dcs) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DcsUnavailableError):
            a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=0.2)
    assert "config" not in look(a).records
    assert isinstance(a.write(WriteRequest(puts=(Put(name="config", value="1"),)), timeout_s=0.2), Written)


def opens(path: Path, kind: str, *, within_s: float, **user: Any) -> str:
    """Let another process open the file and enter a transaction; what it has to say at the end."""
    command = [sys.executable, "-c", OPENS, str(path), kind, str(within_s)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=within_s + 10.0, **user)
    return str(done.stdout).strip()


def integrity(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as hand:
        assert hand.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_reading_that_ends_after_the_watch_told_of_a_newer_version_does_not_make_that_younger(path: Path, b: Dcs) -> None:
    class Late(SqliteDcs):
        """Makes its picture only when something else has come to its end."""

        before_its_picture: Callable[[], object] | None = None

        def _call(self, *given: Any, **named: Any) -> Any:
            result = super()._call(*given, **named)
            if self.before_its_picture is not None:
                self.before_its_picture()
            return result

    wakes = Wakes()
    with contextlib.closing(Late(path=path, cluster="hacore-kit/demo", member="a", clock=BootClock())) as late:
        written(b, Put(name="config", value="old"))
        late.watch(wakes)
        assert wakes.within(CALL_S, after=0)
        look(late)
        before = wakes.quiet()

        def overtake() -> None:
            written(b, Put(name="config", value="new"))
            assert wakes.within(CALL_S, after=before)

        late.before_its_picture = overtake
        assert look(late).records["config"].value == "old"
        late.before_its_picture = None
        asked_at = now()
        seen = look(late).records["config"]
    assert seen.value == "new"
    assert seen.received_at < asked_at


def test_what_was_known_of_a_store_that_has_gone_back_is_not_known_of_it_any_more(path: Path, a: Dcs, b: Dcs) -> None:
    look(a)
    with contextlib.closing(sqlite3.connect(path)) as live, contextlib.closing(sqlite3.connect(":memory:")) as copy:
        live.backup(copy)
        written(b, Put(name="config", value="same"))
        first = look(a).records["config"]
        copy.backup(live)
    assert "config" not in look(a).records
    written(b, Put(name="config", value="same"))
    again = look(a).records["config"]
    assert again.version == first.version
    assert again.received_at > first.received_at
