"""What can happen to a server that agents share, beyond what happens to every store."""

import contextlib
import dataclasses
import logging
import select
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2 import extensions

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused
from hacore.testing.conformance.store import (
    CALL_S,
    EVENTUALLY_S,
    Wakes,
    eventually,
    look,
    now,
    renew,
    request_for,
    take,
    taken,
    takes_at_most,
    write,
    written,
)
from hacore_dcs_pgtable.plugin import TablePlugin
from hacore_dcs_pgtable.settings import TableSettings
from table_server import PASSWORD, TableServer, serving

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'hacore' AND wait_event_type = 'Lock'"

ENCRYPTED = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'hacore'"
TTL_S = 2.0
LARGE = "INSERT INTO hacore.record SELECT %s, 'large ' || n, convert_to(repeat('x', 1000000), 'UTF8'), 1 FROM generate_series(1, 30) n"


@pytest.fixture(scope="module")
def server() -> Iterator[TableServer]:
    with serving() as one:
        yield one


@pytest.fixture
def settings(server: TableServer) -> TableSettings:
    return TableSettings(host="127.0.0.1", port=server.proxy.port, password=PASSWORD)


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def a(settings: TableSettings, cluster: str) -> Iterator[Dcs]:
    with contextlib.closing(opened(settings, cluster)) as session:
        yield session


def opened(settings: TableSettings, cluster: str, member: str = "a") -> Dcs:
    return TablePlugin(settings).hacore_open_dcs(request_for(cluster, member))


def test_versions_do_not_come_back_with_a_restored_copy(server: TableServer, a: Dcs) -> None:
    written(a, Put(name="hacore", value="1"))
    copy = server.save()
    lost = [written(a, Put(name="hacore", value=str(number)))[0] for number in range(3)]
    server.restore(copy)
    again = [written(a, Put(name="hacore", value=f"again {number}"))[0] for number in range(3)]
    assert min(again) > max(lost)
    for version in lost:
        assert write(a, Put(name="hacore", value="by one who was away", expected=version)) == Refused(holder=None)


def test_versions_do_not_come_back_after_the_rows_were_deleted(server: TableServer, a: Dcs, cluster: str) -> None:
    lock = take(a, 30.0)
    (before,) = written(a, Put(name="hacore", value="1"))
    server.by_hand("DELETE FROM hacore.lock WHERE cluster = %s", f"hacore-kit/{cluster}")
    seen = look(a)
    assert (seen.lock, dict(seen.records)) == (None, {})
    assert written(a, Put(name="hacore", value="1"))[0] > before
    assert take(a, 30.0).instance != lock.instance


def test_a_clock_that_is_set_back_does_not_keep_a_lock(server: TableServer, settings: TableSettings, a: Dcs, cluster: str) -> None:
    acquired = taken(a.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S))
    server.by_hand("UPDATE hacore.lock SET ends_at = ends_at + interval '1 hour' WHERE cluster = %s", f"hacore-kit/{cluster}")
    with contextlib.closing(opened(settings, cluster, "b")) as other:
        other.publish("another member's turn", ttl_s=TTL_S, timeout_s=CALL_S)
        eventually(lambda: look(other).lock is None, within_s=2 * TTL_S)
        assert now() >= acquired.sent_at + TTL_S
        assert renew(a, acquired.lock, TTL_S) == Refused(holder=None)


def test_a_transaction_that_somebody_forgot_ends_a_write_at_its_limit_and_nothing_goes_on_waiting(
    server: TableServer, a: Dcs, cluster: str
) -> None:
    written(a, Put(name="config", value="1"))
    with row_locked(server, cluster):
        for _ in range(3):
            with takes_at_most(0.5), pytest.raises(DcsUnavailableError, match="no answer in time"):
                a.withdraw(timeout_s=0.5)
        assert look(a).records["config"].value == "1"
        eventually(lambda: server.by_hand(WAITING) == [(0,)])
    written(a, Put(name="config", value="2"))


def test_a_turn_that_comes_late_is_judged_by_the_time_at_which_it_comes(server: TableServer, a: Dcs, cluster: str) -> None:
    acquired = taken(a.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S))
    with ThreadPoolExecutor() as pool:
        with row_locked(server, cluster):
            answer = pool.submit(renew, a, acquired.lock, TTL_S)
            eventually(lambda: server.by_hand(WAITING) == [(1,)])
            eventually(lambda: now() > acquired.sent_at + TTL_S + 0.2)
        assert answer.result() == Refused(holder=None)


def test_an_answer_that_nobody_takes_holds_up_nobody(server: TableServer, a: Dcs, cluster: str) -> None:
    take(a, 30.0)
    server.by_hand(LARGE, f"hacore-kit/{cluster}")
    stopped = psycopg2.connect(host="127.0.0.1", port=server.port, user="hacore", password=PASSWORD, dbname="hacore", async_=True)
    try:
        wait(stopped)
        stopped.cursor().execute("SELECT * FROM hacore.look(%s)", (f"hacore-kit/{cluster}",))
        eventually(lambda: server.by_hand("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'") == [(1,)])
        with takes_at_most(0.5):
            written(a, Put(name="config", value="1"))
    finally:
        stopped.close()


def test_a_watch_outlives_an_error_that_it_does_not_know(a: Dcs) -> None:
    wakes, failures = Wakes(), [RuntimeError("can't start new thread")]

    def wake() -> None:
        if failures:
            raise failures.pop()
        wakes()

    a.watch(wake)
    assert wakes.within(EVENTUALLY_S, after=0)


def test_a_session_that_was_cut_while_it_was_idle_costs_no_call(server: TableServer, a: Dcs) -> None:
    for number in range(5):
        written(a, Put(name="config", value=str(number)))
        server.proxy.cut()
    assert look(a).records["config"].value == "4"


def test_a_server_that_only_reads_is_no_store(server: TableServer, settings: TableSettings, cluster: str) -> None:
    server.by_hand("ALTER DATABASE hacore SET default_transaction_read_only = on")
    try:
        with pytest.raises(DcsUnavailableError, match="read-only"):
            opened(settings, cluster)
    finally:
        server.by_hand("ALTER DATABASE hacore RESET default_transaction_read_only", database="postgres")


def test_an_agent_can_do_nothing_but_look_and_change(server: TableServer) -> None:
    session = psycopg2.connect(host="127.0.0.1", port=server.port, user="hacore", password=PASSWORD, dbname="hacore")
    with contextlib.closing(session):
        session.autocommit = True
        for statement in ("SELECT FROM hacore.lock", "DELETE FROM hacore.record", "CREATE TABLE hacore.more ()", "SELECT hacore.tell()"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                session.cursor().execute(statement)


def test_a_database_without_the_table_is_a_fault_of_the_settings(settings: TableSettings, cluster: str) -> None:
    wrong = dataclasses.replace(settings, database="postgres")
    with pytest.raises(ConfigError, match="hacore_dcs_pgtable"):
        opened(wrong, cluster)
    context = request_for(cluster, "a").context
    (fault,) = TablePlugin(wrong).hacore_validate(Validate(context=context, online=True))
    assert "postgres_table" in fault
    assert TablePlugin(settings).hacore_validate(Validate(context=context, online=True)) == ()


def test_a_name_that_nobody_knows_is_a_store_that_does_not_answer(settings: TableSettings, cluster: str) -> None:
    with takes_at_most(CALL_S), pytest.raises(DcsUnavailableError):
        opened(dataclasses.replace(settings, host="nowhere.invalid"), cluster)


def test_a_name_with_several_addresses_is_found_at_the_one_that_answers(settings: TableSettings, cluster: str) -> None:
    with contextlib.closing(opened(dataclasses.replace(settings, host="localhost"), cluster)) as session:
        written(session, Put(name="config", value="1"))


def test_with_an_authority_the_server_must_have_a_certificate_of_it(server: TableServer, settings: TableSettings, cluster: str) -> None:
    known = dataclasses.replace(settings, cacert=str(server.certificate))
    with contextlib.closing(opened(known, cluster)) as session:
        written(session, Put(name="config", value="1"))
        assert server.by_hand(ENCRYPTED) == [(True,)]
    other = server.directory / "other.crt"
    server.certify(other, server.directory / "other.key")
    with pytest.raises(DcsUnavailableError, match="certificate verify failed"):
        opened(dataclasses.replace(settings, cacert=str(other)), cluster)


def test_no_fault_shows_the_password(settings: TableSettings, cluster: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = dataclasses.replace(settings, password=PASSWORD + " any more")
    with pytest.raises(DcsUnavailableError, match="password authentication failed") as raised:
        opened(wrong, cluster)
    assert PASSWORD not in repr(raised.value) + repr(raised.value.__cause__) + repr(wrong) + caplog.text


@contextlib.contextmanager
def row_locked(server: TableServer, cluster: str) -> Iterator[None]:
    """Somebody has begun a transaction and does not end it."""
    with contextlib.closing(server.connect()) as forgotten:
        forgotten.autocommit = False
        forgotten.cursor().execute("SELECT FROM hacore.lock WHERE cluster = %s FOR UPDATE", (f"hacore-kit/{cluster}",))
        yield


def wait(connection: extensions.connection) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        assert poller.poll(CALL_S * 1000)
