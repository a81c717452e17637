"""Sessions: their time, their early end, and how an agent that is started again goes on with them."""

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Refused, Renewed
from hacore.testing.conformance.store import CALL_S, eventually, look, now, renew, take
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.connection import Connection
from hacore_dcs_zookeeper.session_file import FILE_NAME, Session, SessionFile
from plugins.dcs_zookeeper.tests.served import another_client
from plugins.dcs_zookeeper.tests.sessions import CLUSTER, opened, owner, renewed, settings_of

TTL_S = 4.0


@pytest.fixture
def zookeeper(scratch: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(scratch) as servers:
        yield servers


def session_in(state: Path) -> Session:
    found = json.loads((state / FILE_NAME).read_text())
    return Session(int(found["session"]), bytes.fromhex(found["password"]))


def no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def end_session(zookeeper: ZooKeeper, session: Session) -> None:
    """End it early, as nobody should: by its number and password."""
    client = KazooClient(hosts=",".join(zookeeper.endpoints), client_id=session)
    client.start(timeout=10.0)
    client.stop()
    client.close()


def test_an_agent_that_is_started_again_goes_on_with_the_session_of_its_predecessor(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    settings = settings_of(zookeeper)
    with opened(settings, state=tmp_path) as session, another_client(zookeeper) as client:
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock = take(session, TTL_S)
        number = owner(zookeeper, "leader")
        created = client.exists(f"{CLUSTER}/members/a").czxid
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert session_in(tmp_path).number == number
    with opened(settings, state=tmp_path) as again, opened(settings, "b") as b, another_client(zookeeper) as client:
        for _ in range(4):
            assert isinstance(renew(again, lock, TTL_S), Renewed)
            again.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
            assert look(b).lock == lock
            time.sleep(TTL_S / 3)
        assert owner(zookeeper, "leader") == number
        assert client.exists(f"{CLUSTER}/members/a").czxid == created


def test_without_the_file_the_lock_is_moved_to_another_session_and_stays_the_same_holding(zookeeper: ZooKeeper) -> None:
    settings = settings_of(zookeeper)
    with opened(settings) as session:
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock, before = take(session, TTL_S), owner(zookeeper, "leader")
    with opened(settings) as again:
        assert isinstance(renew(again, lock, TTL_S), Renewed)
        again.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        assert before != owner(zookeeper, "leader") == owner(zookeeper, "members/a")


BROKEN: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "of another boot": lambda found: {**found, "boot": "the boot before"},
    "of another password": lambda found: {**found, "password": "00" * 16},
    "cut off": lambda found: {"boot": found["boot"]},
    "of something else": lambda found: {**found, "session": "no number"},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_not_right_costs_nothing_but_the_old_session(
    zookeeper: ZooKeeper, tmp_path: Path, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    with opened(settings_of(zookeeper), state=tmp_path) as session:
        lock, before = take(session, TTL_S), owner(zookeeper, "leader")
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with opened(settings_of(zookeeper), state=tmp_path) as again:
        assert isinstance(renew(again, lock, TTL_S), Renewed)
        assert owner(zookeeper, "leader") == session_in(tmp_path).number != before


def test_a_directory_that_cannot_be_written_costs_nothing_but_the_resumption(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    with opened(settings_of(zookeeper), state=tmp_path / "not there") as session:
        assert isinstance(renew(session, take(session, TTL_S), TTL_S), Renewed)


def test_an_agent_that_is_started_again_on_a_full_disk_goes_on_with_the_session_and_leaves_nothing_there(
    zookeeper: ZooKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings_of(zookeeper), state=tmp_path) as session:
        lock, before = take(session, TTL_S), owner(zookeeper, "leader")
    monkeypatch.setattr(os, "fsync", no_space)
    with opened(settings_of(zookeeper), state=tmp_path) as again:
        assert isinstance(renew(again, lock, TTL_S), Renewed)
        assert owner(zookeeper, "leader") == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_of_two_agents_with_one_file_the_earlier_one_lets_go(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    settings = settings_of(zookeeper)
    with opened(settings, state=tmp_path) as earlier:
        lock = take(earlier, 30.0)
        with opened(settings, state=tmp_path) as later:
            assert isinstance(renew(later, lock, 30.0), Renewed)
            with pytest.raises(DcsUnavailableError):
                look(earlier)
            for _ in range(10):
                assert isinstance(renew(later, lock, 30.0), Renewed)
                time.sleep(0.1)


def test_a_session_that_somebody_ended_early_is_a_definite_loss_and_the_member_comes_back(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    with opened(settings_of(zookeeper), state=tmp_path) as session:
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        lock, before = take(session, 30.0), session_in(tmp_path)
        end_session(zookeeper, before)
        assert renew(session, lock, 30.0) == Refused(holder=None)
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        assert look(session).members["a"].value == "member"
        assert take(session, 30.0).instance != lock.instance
        assert owner(zookeeper, "leader") == owner(zookeeper, "members/a") == session_in(tmp_path).number != before.number


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lock_that_is_not_renewed_ends_though_its_member_goes_on(zookeeper: ZooKeeper, tmp_path: Path, restarted: bool) -> None:
    settings = settings_of(zookeeper)
    with opened(settings, state=tmp_path) as former, opened(settings, "b") as b, contextlib.ExitStack() as stack:
        former.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock = take(former, TTL_S)
        session = stack.enter_context(opened(settings, state=tmp_path)) if restarted else former
        deadline = time.monotonic() + 1.5 * TTL_S + 3.0
        while look(b).lock is not None:
            assert time.monotonic() < deadline
            look(session)
            session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
            assert "a" in look(b).members
            time.sleep(0.2)
        assert renew(session, lock, TTL_S) == Refused(holder=None)
        assert "a" in look(b).members


def test_the_session_has_the_time_of_the_newest_renewal(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper)) as session, opened(settings_of(zookeeper), "b") as b:
        lock, before = take(session, 30.0), owner(zookeeper, "leader")
        assert isinstance(renew(session, lock, 3.0), Renewed)
        assert owner(zookeeper, "leader") == before, "the same session, with another time"
        renewed_at = now()
        eventually(lambda: look(b).lock is None, within_s=5.0)
        assert now() > renewed_at + 2.9


def test_a_shorter_time_than_asked_for_is_counted_as_what_it_is(scratch: Path) -> None:
    with ZooKeeper(scratch, lines=("maxSessionTimeout=3000",)) as zookeeper, opened(settings_of(zookeeper)) as a:
        before = now()
        acquired = a.acquire(AcquireRequest(ttl_s=10.0), timeout_s=CALL_S)
        assert isinstance(acquired, Acquired)
        assert before - 7.0 <= acquired.sent_at <= now() - 7.0
        before = now()
        renewed = renew(a, acquired.lock, 10.0)
        assert isinstance(renewed, Renewed)
        assert before - 7.0 <= renewed.sent_at <= now() - 7.0
        with opened(settings_of(zookeeper), "b") as b:
            eventually(lambda: look(b).lock is None, within_s=6.0)
            assert now() >= renewed.sent_at + 10.0


def test_a_longer_time_than_asked_for_only_keeps_the_lock_for_longer(scratch: Path) -> None:
    with ZooKeeper(scratch, lines=("minSessionTimeout=5000",)) as zookeeper, opened(settings_of(zookeeper)) as a:
        acquired = a.acquire(AcquireRequest(ttl_s=2.0), timeout_s=CALL_S)
        assert isinstance(acquired, Acquired)
        assert acquired.sent_at <= now()
        with opened(settings_of(zookeeper), "b") as b:
            eventually(lambda: look(b).lock is None, within_s=8.0)
            assert now() >= acquired.sent_at + 5.0


def test_a_file_is_its_owner_s_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    file = SessionFile(tmp_path / FILE_NAME)
    assert file.take() is None
    file.write(Session(-5, b"secret"))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    other = SessionFile(tmp_path / FILE_NAME)
    assert file.is_ours()
    assert other.take() == Session(-5, b"secret")
    assert (file.is_ours(), other.is_ours()) == (False, True)
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / FILE_NAME).unlink()
    assert file.is_ours()


def test_a_file_that_cannot_be_made_ours_is_anothers_only_once_somebody_else_has_taken_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, file, other = (SessionFile(tmp_path / FILE_NAME) for _ in range(3))
    former.take()
    former.write(Session(-5, b"secret"))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        assert file.take() == Session(-5, b"secret")
        assert file.is_ours()
    other.take()
    assert not file.is_ours()
    file.write(Session(-6, b"secret"))
    former.write(Session(-5, b"secret"))
    assert not file.is_ours(), "who was its owner once knows whom it was taken from"


def test_a_connection_that_cannot_even_be_tried_is_followed_by_another(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    failures, own = [RuntimeError("can't start new thread")], Connection.open

    def opens(connection: Connection) -> bool:
        if failures:
            raise failures.pop()
        return own(connection)

    with opened(settings_of(zookeeper)) as session:
        lock = take(session, 10.0)
        monkeypatch.setattr(Connection, "open", opens)
        zookeeper.members[0].kill()
        zookeeper.start()
        eventually(lambda: renewed(session, lock.instance))
    assert not failures
