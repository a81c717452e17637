"""What only a real ZooKeeper can show: its nodes, its versions, its servers and their clocks."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import AcquireRequest, Put, Refused, Renewed, RenewRequest
from hacore.model.lease import Lock
from hacore.testing.conformance.store import CALL_S, Wakes, eventually, look, renew, take, takes_at_most, write, written
from hacore.testing.faults.proxy import Fault
from hacore.testing.server_process import all_frozen
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.settings import ZookeeperSettings
from plugins.dcs_zookeeper.tests.served import Served, another_client, served
from plugins.dcs_zookeeper.tests.sessions import CLUSTER, answered, opened, owner, renewed, settings_of

TTL_S = 4.0
FAKETIME = "faketime/libfaketimeMT.so.1"


@pytest.fixture
def zookeeper(scratch: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(scratch) as servers:
        yield servers


@pytest.fixture
def three() -> Iterator[Served]:
    with served(3) as servers:
        yield servers


def test_the_nodes_and_values_are_those_of_the_field(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper), "node-1") as session, another_client(zookeeper) as client:
        take(session, TTL_S, Put(name="status", value='{"optime":1}'))
        session.publish('{"state":"running"}', ttl_s=TTL_S, timeout_s=CALL_S)
        names = sorted(client.get_children(CLUSTER))
        (generation,) = [name for name in names if name.startswith("hacore.generation.")]
        assert names == [generation, "leader", "members", "status"]
        assert client.get_children(f"{CLUSTER}/members") == ["node-1"]
        nodes = {name: client.get(f"{CLUSTER}/{name}") for name in ("leader", "members/node-1", "status")}
        assert {name: data for name, (data, _) in nodes.items()} == {
            "leader": b"node-1",
            "members/node-1": b'{"state":"running"}',
            "status": b'{"optime":1}',
        }
        session_number = nodes["leader"][1].ephemeralOwner
        assert [stat.ephemeralOwner for _, stat in nodes.values()] == [session_number, session_number, 0]
        assert session_number != 0


def test_an_observer_leaves_no_session(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper), observer=True) as session:
        written(session, Put(name="failover", value="{}"))
        assert re.search(r"Session Sets \(\d+\)/\(1\)", zookeeper.members[0].ask("dump"))
    assert re.search(r"Session Sets \(\d+\)/\(0\)", zookeeper.members[0].ask("dump"))


def test_a_record_that_was_made_anew_is_not_taken_for_the_one_before(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper)) as a, opened(settings_of(zookeeper), "b") as b, another_client(zookeeper) as client:
        (first,) = written(a, Put(name="initialize", value=""))
        look(a)
        numbers = {client.exists(f"{CLUSTER}/initialize").version}
        client.delete(f"{CLUSTER}/initialize")
        (second,) = written(b, Put(name="initialize", value="", expected=0))
        numbers.add(client.exists(f"{CLUSTER}/initialize").version)
        assert len(numbers) == 1  # so that is all that a transaction of ZooKeeper could compare
        assert isinstance(write(a, Put(name="initialize", value=None, expected=first)), Refused)
        assert look(a).records["initialize"].version == second > first


def test_the_lock_of_another_product_is_respected_and_never_mistaken_for_ours(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper)) as a, another_client(zookeeper) as client:
        lock = take(a, 30.0)
        for _ in range(2):
            client.delete(f"{CLUSTER}/leader")
            client.create(f"{CLUSTER}/leader", b"theirs", ephemeral=True)
            assert renew(a, lock, 30.0) == Refused(holder="theirs")
            assert write(a, Put(name="status", value="1"), lock=lock) == Refused(holder="theirs")
            assert a.acquire(AcquireRequest(ttl_s=30.0), timeout_s=CALL_S) == Refused(holder="theirs")
        theirs = look(a).lock
        assert theirs == Lock(holder="theirs", instance=f"czxid-{client.exists(f'{CLUSTER}/leader').czxid:x}")
        assert isinstance(a.acquire(AcquireRequest(ttl_s=30.0, replaces=theirs), timeout_s=CALL_S).lock, Lock)  # type: ignore[union-attr]


def test_an_earlier_holding_of_the_same_session_is_not_renewed_after_somebody_deleted_it(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper)) as a, another_client(zookeeper) as client:
        old = take(a, 30.0)
        client.delete(f"{CLUSTER}/leader")
        lock = take(a, 30.0)
        assert owner(zookeeper, "leader") == client.exists(f"{CLUSTER}/leader").ephemeralOwner
        assert renew(a, old, 30.0) == Refused(holder="a")
        assert isinstance(renew(a, lock, 30.0), Renewed)


def test_a_store_that_is_started_empty_has_lost_the_lock_and_takes_everything_anew(zookeeper: ZooKeeper) -> None:
    with opened(settings_of(zookeeper)) as session:
        lock = take(session, 30.0, Put(name="hacore", value="1"))
        before = look(session)
        zookeeper.restore(None)
        eventually(lambda: answered(lambda: look(session)))
        seen = look(session)
        assert (seen.lock, dict(seen.records), dict(seen.members)) == (None, {}, {})
        assert (seen.revision or 0) < (before.revision or 0)
        assert renew(session, lock, 30.0) == Refused(holder=None)
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        take(session, 30.0, Put(name="hacore", value="2", expected=0))
        assert look(session).members["a"].value == "member"


def test_a_server_that_is_gone_is_passed_over(zookeeper: ZooKeeper) -> None:
    settings = ZookeeperSettings(hosts=("127.0.0.1:9", "127.0.0.1:11", *zookeeper.endpoints))
    for _ in range(3):
        with takes_at_most(1.0), opened(settings) as session:
            written(session, Put(name="config", value="1"))


def test_a_host_name_that_nobody_knows_is_passed_over(zookeeper: ZooKeeper) -> None:
    settings = ZookeeperSettings(hosts=("no-such-host.invalid:2181", f"localhost:{zookeeper.members[0].client_port}"))

    def ask() -> None:
        with opened(settings) as session:
            look(session)

    eventually(lambda: answered(ask))


def test_no_server_at_all_is_unavailable_and_not_a_wrong_configuration() -> None:
    with takes_at_most(3.0), pytest.raises(DcsUnavailableError), opened(ZookeeperSettings(hosts=("127.0.0.1:9",))):
        pass


def test_something_else_that_answers_is_not_taken_for_zookeeper(scratch: Path) -> None:
    with subprocess.Popen(
        ["/usr/bin/python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=scratch, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().split()[5].decode()
        try:
            with takes_at_most(3.0), pytest.raises(DcsUnavailableError), opened(ZookeeperSettings(hosts=(f"127.0.0.1:{port}",))):
                pass
        finally:
            other.kill()


@pytest.mark.parametrize("loss", ["killed", "frozen"])
def test_the_loss_of_the_leader_of_the_servers_costs_neither_the_lock_nor_the_member(three: Served, loss: str) -> None:
    with opened(ZookeeperSettings(hosts=three.hosts)) as session:
        session.publish("member", ttl_s=20.0, timeout_s=CALL_S)
        lock = take(session, 20.0)
        leader = three.zookeeper.leader()
        if loss == "killed":
            leader.kill()
            eventually(lambda: renewed(session, lock.instance, 20.0), within_s=18.0)
            leader.start()
        else:
            with leader.frozen():
                eventually(lambda: renewed(session, lock.instance, 20.0), within_s=18.0)
        three.zookeeper.wait_ready()
        seen = look(session)
        assert seen.lock == lock
        assert "a" in seen.members


def test_a_server_that_is_cut_off_from_the_others_renews_nothing_though_it_answers_pings(three: Served) -> None:
    follower = next(server for server in three.zookeeper.members if server.mode() == "follower")
    with opened(ZookeeperSettings(hosts=(follower.endpoint,))) as session:
        lock = take(session, 30.0)
        others = [server for server in three.zookeeper.members if server is not follower]
        with all_frozen(others), takes_at_most(1.0), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=1.0)
        three.zookeeper.wait_ready()
        eventually(lambda: renewed(session, lock.instance, 30.0))


def test_every_call_ends_in_time_while_servers_come_and_go(three: Served) -> None:
    with opened(ZookeeperSettings(hosts=three.hosts)) as session:
        lock = take(session, 30.0)
        slowest, answers = 0.0, 0
        for turn in range(3):
            server = three.zookeeper.members[turn]
            server.kill()
            for _ in range(5):
                began = time.monotonic()
                answers += answered(lambda: session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=0.5))
                slowest = max(slowest, time.monotonic() - began)
            server.start()
            three.zookeeper.wait_ready()
        assert slowest < 0.5 + 0.3
        assert answers > 0
        eventually(lambda: renewed(session, lock.instance, 30.0))


def test_a_quiet_link_does_not_keep_the_lock_of_a_loop_that_hangs(three: Served) -> None:
    with opened(ZookeeperSettings(hosts=three.hosts)) as hanging, opened(ZookeeperSettings(hosts=three.hosts), "b") as b:
        acquired = hanging.acquire(AcquireRequest(ttl_s=TTL_S), timeout_s=CALL_S)
        began = time.monotonic()
        while time.monotonic() < began + 0.75 * TTL_S:
            assert look(b).lock is not None
            time.sleep(0.1)
        for proxy in three.proxies:
            proxy.cut()  # whoever went on with the session now would prolong it

        def is_free() -> bool:
            with suppress(DcsUnavailableError):  # it connects again, too
                return look(b).lock is None
            return False

        eventually(is_free, within_s=TTL_S / 2 + 2.0)
        assert renew(hanging, acquired.lock, TTL_S) == Refused(holder=None)  # type: ignore[union-attr]


def test_a_watch_that_has_gone_silent_is_noticed_by_the_next_call(three: Served) -> None:
    wakes = Wakes()
    with opened(ZookeeperSettings(hosts=three.hosts)) as session:
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)  # from now on kazoo does not ask for signs of life
        session.watch(wakes)
        before = wakes.quiet()
        with three.one_suffers(Fault(swallow_answers=True)), takes_at_most(1.0):
            look(session)
            assert wakes.within(1.0, after=before)
        before = wakes.quiet()
        written(session, Put(name="config", value="1"))
        assert wakes.within(2.0, after=before)


def test_requests_whose_answers_never_come_in_time_do_not_keep_the_lock(three: Served) -> None:
    with opened(ZookeeperSettings(hosts=three.hosts)) as late, opened(settings_of(three.zookeeper), "b") as b:
        lock = take(late, TTL_S)
        with three.all_suffer(Fault(answer_delay_s=3.0)):
            deadline = time.monotonic() + 1.5 * TTL_S + 3.0
            while look(b).lock is not None:
                assert time.monotonic() < deadline
                assert not answered(lambda: late.renew(RenewRequest(lock=lock, ttl_s=TTL_S), timeout_s=0.5))
                assert not answered(lambda: late.snapshot(timeout_s=0.5))
        eventually(lambda: answered(lambda: look(late)))
        assert renew(late, lock, TTL_S) == Refused(holder=None)


def test_an_answer_that_is_lost_leaves_the_time_of_the_lease_where_it_was(three: Served) -> None:
    with opened(ZookeeperSettings(hosts=three.hosts)) as session:
        lock = take(session, TTL_S)
        with three.all_suffer(Fault(swallow_answers=True)), takes_at_most(1.0), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=TTL_S), timeout_s=1.0)
        answer = renew(session, lock, TTL_S)
        assert isinstance(answer, Renewed)


def test_a_server_whose_clock_is_set_ends_no_session_early_and_none_late(scratch: Path) -> None:
    (library,) = Path("/usr/lib").glob(f"*/{FAKETIME}")
    setting = scratch / "clock"
    setting.write_text("+0\n")
    setting.chmod(0o644)
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_CACHE_DURATION": "1",  # each reading of the clock would read the file
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with ZooKeeper(scratch, environment=environment) as zookeeper, another_client(zookeeper) as client:

        def clock_of_server_s() -> float:
            client.ensure_path("/clock")
            return float(client.set("/clock", b"").mtime) / 1000 - time.time()

        def is_quick() -> bool:
            with opened(settings_of(zookeeper), observer=True) as session:
                look(session)
            return True

        eventually(lambda: answered(is_quick))  # Java takes its time under another's clock
        with opened(settings_of(zookeeper)) as a, opened(settings_of(zookeeper), "b") as b:
            a.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
            lock = take(a, TTL_S)
            assert abs(clock_of_server_s()) < 60
            for step, seconds in (("+1h", 3600), ("-1h", -3600)):
                setting.write_text(f"{step}\n")
                while abs(clock_of_server_s() - seconds) > 60:
                    assert isinstance(renew(a, lock, TTL_S), Renewed)
                began = time.monotonic()
                while time.monotonic() < began + 1.5 * TTL_S:
                    assert isinstance(renew(a, lock, TTL_S), Renewed)
                    assert "a" in look(b).members
                    time.sleep(0.2)
            renewed_at = time.monotonic()
            assert isinstance(renew(a, lock, TTL_S), Renewed)
            setting.write_text("+5h\n")
            eventually(lambda: look(b).lock is None, within_s=TTL_S + 2.0)
            assert time.monotonic() >= renewed_at + TTL_S


def test_the_agent_loads_neither_the_schema_s_library_nor_an_http_client_of_others() -> None:
    program = "import sys, hacore_dcs_zookeeper.plugin as p; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint({"marshmallow", "requests", "urllib3", "yaml", "psycopg2", "sqlite3", "asyncio"})
