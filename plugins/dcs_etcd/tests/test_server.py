"""What only a real etcd can show: its keys, its leases, its refusals."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused, Renewed
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, Wakes, eventually, look, now, renew, take, takes_at_most, written
from hacore.testing.etcd import Etcd
from hacore_dcs_etcd.settings import EtcdSettings
from plugins.dcs_etcd.tests.served import calls, opened, settings_of

TTL_S = 4.0


@pytest.fixture
def etcd(scratch: Path) -> Iterator[Etcd]:
    with Etcd(scratch) as server:
        yield server


def keys(etcd: Etcd) -> dict[str, str]:
    lines = etcd.control("get", "--prefix", "/hacore-kit/").split("\n")
    return dict(zip(lines[:-1:2], lines[1::2], strict=False))


def lease_of(etcd: Etcd, key: str) -> str:
    found = json.loads(etcd.control("get", key, "-w", "json"))
    return f"{found['kvs'][0].get('lease', 0):x}"


def test_the_keys_and_values_are_those_of_the_field(etcd: Etcd) -> None:
    with opened(settings_of(etcd), "node-1") as session:
        take(session, TTL_S, Put(name="status", value='{"optime":1}'))
        session.publish('{"state":"running"}', ttl_s=TTL_S, timeout_s=CALL_S)
        assert keys(etcd) == {
            "/hacore-kit/demo/leader": "node-1",
            "/hacore-kit/demo/members/node-1": '{"state":"running"}',
            "/hacore-kit/demo/status": '{"optime":1}',
        }
        lease = lease_of(etcd, "/hacore-kit/demo/leader")
        assert lease == lease_of(etcd, "/hacore-kit/demo/members/node-1") != "0"
        assert lease_of(etcd, "/hacore-kit/demo/status") == "0"
        assert "granted with TTL(4s)" in etcd.control("lease", "timetolive", lease)


def test_how_long_a_watch_may_be_silent_follows_the_ttl_in_force(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as session:  # with a ttl of 4 s
        wakes = Wakes()
        session.watch(wakes)
        session.publish("member", ttl_s=60.0, timeout_s=CALL_S)
        before = wakes.quiet()
        assert not wakes.within(4.5, after=before)
        session.publish("member again", ttl_s=2.0, timeout_s=CALL_S)
        before = wakes.quiet()
        assert wakes.within(4.0, after=before)


def test_a_watch_outlives_an_error_that_it_does_not_know(etcd: Etcd) -> None:
    wakes, failures = Wakes(), [RuntimeError("can't start new thread")]

    def wake() -> None:
        if failures:
            raise failures.pop()
        wakes()

    with opened(settings_of(etcd)) as session:
        session.watch(wake)
        assert wakes.within(EVENTUALLY_S, after=0)


def test_an_observer_asks_for_no_lease(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as session:
        written(session, Put(name="failover", value="{}"))
        look(session)
        assert "found 0 leases" in etcd.control("lease", "list")


def test_a_revoked_lease_is_a_definite_loss_and_the_member_comes_back_under_another(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as session:
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        lock = take(session, TTL_S)
        etcd.control("lease", "revoke", lease_of(etcd, "/hacore-kit/demo/leader"))
        assert renew(session, lock, TTL_S) == Refused(holder=None)
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        assert look(session).members["a"].value == "member"
        assert take(session, TTL_S).instance != lock.instance


def test_a_lock_that_somebody_hung_on_another_lease_does_not_count_until_it_is_moved_back(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as session:
        lock = take(session, TTL_S)
        foreign = etcd.control("lease", "grant", "5").split()[1]
        etcd.control("put", "/hacore-kit/demo/leader", "a", "--lease", foreign)
        with pytest.raises(DcsUnavailableError, match="does not keep alive"):
            renew(session, lock, TTL_S)
        assert isinstance(renew(session, lock, TTL_S), Renewed)
        assert lease_of(etcd, "/hacore-kit/demo/leader") != foreign.lstrip("0")


def test_a_server_that_is_gone_is_passed_over_at_once(etcd: Etcd) -> None:
    settings = EtcdSettings(endpoints=("http://127.0.0.1:9", "http://127.0.0.1:11", etcd.members[0].url), discover=False)
    with opened(settings) as session, takes_at_most(0.5):
        for number in range(5):
            written(session, Put(name="config", value=str(number)))


def test_a_host_name_that_nobody_knows_is_passed_over(etcd: Etcd) -> None:
    port = etcd.members[0].client_port
    settings = EtcdSettings(endpoints=("http://no-such-host.invalid:2379", f"http://localhost:{port}"), discover=False)
    with opened(settings) as session:
        eventually(lambda: isinstance(look(session).revision, int))


def test_no_server_at_all_is_unavailable_and_not_a_wrong_configuration() -> None:
    with takes_at_most(3.0), pytest.raises(DcsUnavailableError), opened(EtcdSettings(endpoints=("http://127.0.0.1:9",))):
        pass


def test_something_else_that_answers_is_not_taken_for_etcd(scratch: Path) -> None:
    with subprocess.Popen(
        ["/usr/bin/python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=scratch, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().split()[5].decode()
        try:
            with pytest.raises(DcsUnavailableError, match="not JSON"), opened(EtcdSettings(endpoints=(f"http://127.0.0.1:{port}",))):
                pass
        finally:
            other.kill()


def test_a_full_store_is_neither_a_renewal_nor_a_loss_of_the_lock(scratch: Path) -> None:
    with Etcd(scratch, arguments=("--quota-backend-bytes", str(1 << 20))) as etcd, opened(settings_of(etcd)) as session:
        lock = take(session, 6.0)
        with pytest.raises(DcsUnavailableError):
            fill(session)
        assert "NOSPACE" in etcd.control("alarm", "list")
        since = now()
        while now() < since + 9.0:  # beyond its time: the keep-alives go on, and prove nothing
            with pytest.raises(DcsUnavailableError, match="space exceeded"):
                renew(session, lock, 6.0, Put(name="hacore", value="1"))
            time.sleep(0.5)
        assert look(session).lock == lock
        assert "hacore" not in look(session).records
        make_room(etcd)
        eventually(lambda: isinstance(renew(session, lock, 6.0, Put(name="hacore", value="2")), Renewed))


def test_a_calm_standby_is_told_and_does_not_read(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as leader, opened(settings_of(etcd), "b") as standby:
        standby.watch(lambda: None)
        lock = take(leader, 4.0)
        standby.publish("member", ttl_s=4.0, timeout_s=CALL_S)
        eventually(lambda: standby.snapshot(timeout_s=CALL_S, max_age_s=10.0).lock == lock)
        before = calls(etcd)
        for number in range(12):
            renew(leader, lock, 4.0, Put(name="hacore", value=str(number)))
            eventually(lambda: shown(standby, "hacore") == str(number))  # noqa: B023
            standby.publish("member", ttl_s=4.0, timeout_s=CALL_S)
            time.sleep(0.5)
        spent = {name: count - before.get(name, 0) for name, count in calls(etcd).items()}
        assert spent.get("Range", 0) <= 1  # one that came before the watch had told
        assert spent["Txn"] == 12
        assert spent["LeaseKeepAlive"] <= 12 + 4


def test_another_cluster_s_writes_cost_readings_but_never_a_wrong_picture(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as a, opened(settings_of(etcd), "b") as b, opened(settings_of(etcd), cluster="other") as other:
        b.watch(lambda: None)
        b.publish("member", ttl_s=2.0, timeout_s=CALL_S)
        for number in range(10):
            written(other, Put(name="config", value=str(number)))
            asked_at = now()
            seen = b.snapshot(timeout_s=CALL_S, max_age_s=0.5)
            assert seen.sent_at >= asked_at - 0.5
            assert set(seen.records) <= {"hacore"}
            written(a, Put(name="hacore", value=str(number)))
            b.publish("member", ttl_s=2.0, timeout_s=CALL_S)
            time.sleep(0.3)


def test_an_acquisition_replaces_a_lock_only_as_a_whole(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as a, opened(settings_of(etcd), "b") as b:
        lock = take(a, 30.0, Put(name="hacore", value="1"))
        wrong = AcquireRequest(ttl_s=30.0, puts=(Put(name="hacore", value="2", expected=1),), replaces=lock)
        assert b.acquire(wrong, timeout_s=CALL_S) == Refused(holder="a")
        assert look(b).lock == lock


def fill(session: Dcs) -> None:
    for number in range(40):
        written(session, Put(name=f"filler/{number}", value="x" * 100_000))


def shown(session: Dcs, name: str) -> str | None:
    record = session.snapshot(timeout_s=CALL_S, max_age_s=2.0).records.get(name)
    return record.value if record else None


def make_room(etcd: Etcd) -> None:
    etcd.control("del", "--prefix", "/hacore-kit/demo/filler/")
    revision = json.loads(etcd.control("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]
    etcd.control("compact", str(revision))
    etcd.control("defrag")
    etcd.control("alarm", "disarm")
