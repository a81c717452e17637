"""Several members: one that is lost, frozen or behind, the leader lost, the majority lost."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Put, Renewed, RenewRequest
from hacore.model.clock import BootClock
from hacore.sightings import Sightings
from hacore.testing.conformance.store import CALL_S, eventually, look, now, renew, take, takes_at_most, written
from hacore.testing.etcd import Etcd, EtcdMember
from hacore.testing.faults.proxy import Fault
from hacore.testing.server_process import all_frozen
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.dcs import EtcdDcs
from hacore_dcs_etcd.discovery import Discovery
from hacore_dcs_etcd.settings import EtcdSettings
from hacore_dcs_etcd.watch import Watch
from hacore_dcs_etcd.wire import Keys
from plugins.dcs_etcd.tests.served import PREFIX, Served, is_written, opened, renewed, served

TTL_S = 4.0


@pytest.fixture
def three() -> Iterator[Served]:
    with served(3) as servers:
        yield servers


def test_members_are_found_and_a_lost_one_is_done_without(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints[:1])) as session:
        lock = take(session, TTL_S)
        with three.proxies[0].suffering(Fault(refuse=True)):
            three.proxies[0].cut()
            for _ in range(3):
                assert isinstance(renew(session, lock, TTL_S), Renewed)
                written(session, Put(name="config", value="1"))


def test_the_loss_of_etcd_s_leader_costs_neither_the_lock_nor_the_member(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        session.publish("member", ttl_s=10.0, timeout_s=CALL_S)
        lock = take(session, 10.0)
        leader = three.etcd.leader()
        with leader.frozen():
            eventually(lambda: renewed(session, lock.instance), within_s=8.0)
        three.etcd.wait_ready()
        seen = look(session)
        assert seen.lock == lock
        assert "a" in seen.members


def test_a_minority_renews_nothing(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        lock = take(session, 30.0)
        with all_frozen(three.etcd.members[1:]), takes_at_most(1.5), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=1.5)
        three.etcd.wait_ready()
        eventually(lambda: renewed(session, lock.instance))


def test_a_member_record_does_not_age_while_etcd_itself_is_without_a_quorum(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        session.publish("member", ttl_s=8.0, timeout_s=CALL_S)
        leader = three.etcd.leader()
        with all_frozen(member for member in three.etcd.members if member is not leader):
            time.sleep(11.0)  # longer than its lease
        three.etcd.wait_ready()
        assert "a" in look(session).members


def test_advertised_loopback_addresses_are_no_servers_of_another_machine(three: Served) -> None:
    settings = EtcdSettings(endpoints=(f"http://0.0.0.0:{three.etcd.members[0].client_port}",))  # another name of this machine
    clock = BootClock()
    client = Client(settings, clock)
    Discovery(settings, client, clock).run(timeout_s=CALL_S)
    assert client.endpoints == settings.endpoints
    client.close()


def test_a_member_that_was_stalled_shows_what_was_written_meanwhile_or_nothing(three: Served) -> None:
    behind = follower(three)
    alone = EtcdSettings(endpoints=(behind.url,), discover=False)
    with opened(EtcdSettings(endpoints=three.endpoints)) as session, opened(alone, "b") as reader:
        written(session, Put(name="config", value="old"))
        assert look(reader).records["config"].value == "old"
        with behind.frozen():
            eventually(lambda: is_written(session, "config", "new"))
            with takes_at_most(1.0), pytest.raises(DcsUnavailableError):
                reader.snapshot(timeout_s=1.0)
        for _ in range(50):  # from its first moment on
            with contextlib.suppress(DcsUnavailableError):
                assert reader.snapshot(timeout_s=0.5).records["config"].value == "new"
        eventually(lambda: is_written(reader, "config", "newest"))


def test_a_member_cut_off_from_the_others_shows_nothing_that_is_stale(three: Served) -> None:
    behind = follower(three)
    others = [member for member in three.etcd.members if member is not behind]
    alone = EtcdSettings(endpoints=(behind.url,), discover=False)
    with opened(alone) as reader:
        written(reader, Put(name="config", value="1"))
        reader.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        with all_frozen(others):
            with takes_at_most(1.0), pytest.raises(DcsUnavailableError):
                reader.snapshot(timeout_s=1.0)
            with takes_at_most(1.0), pytest.raises(DcsUnavailableError):
                reader.snapshot(timeout_s=1.0, max_age_s=0.5)  # nobody has proven since that it is no older


def test_a_picture_that_a_stalled_member_keeps_is_recalled_no_longer_than_allowed(three: Served) -> None:
    behind = follower(three)
    alone = EtcdSettings(endpoints=(behind.url,), discover=False)
    with opened(EtcdSettings(endpoints=three.endpoints)) as writer, opened(alone, "b") as reader:
        reader.watch(lambda: None)
        eventually(lambda: reader.snapshot(timeout_s=CALL_S, max_age_s=10.0).sent_at < now() - 0.5)  # it recalls
        with behind.frozen():
            eventually(lambda: is_written(writer, "config", "new"))
            since = now()
            while now() < since + 3.0:
                with contextlib.suppress(DcsUnavailableError):
                    assert reader.snapshot(timeout_s=0.3, max_age_s=1.0).sent_at >= now() - 1.5


def test_a_session_outlives_the_loss_of_each_member_in_turn(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        lock = take(session, 30.0)
        for member in three.etcd.members:
            member.kill()
            eventually(lambda: renewed(session, lock.instance))
            member.start()
            three.etcd.wait_ready()
        assert look(session).lock == lock


def test_a_lost_majority_that_comes_back_finds_the_lock_as_it_was(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        lock = take(session, 10.0)
        for member in three.etcd.members[1:]:
            member.kill()
        with takes_at_most(1.5), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=10.0), timeout_s=1.5)
        three.etcd.start()
        eventually(lambda: renewed(session, lock.instance))


def test_members_that_are_replaced_while_the_stream_goes_on_are_found(scratch: Path) -> None:
    with Etcd(scratch) as etcd:
        old = etcd.members[0]
        with followed(EtcdSettings(endpoints=(old.url,)), discover_every_s=0.5) as (session, client):
            new = etcd.add()
            eventually(lambda: is_written(session, "config", "1") and new.url in client.endpoints)
            etcd.remove(old)
            eventually(lambda: is_written(session, "config", "2"), within_s=10.0)


def test_no_connection_is_kept_to_a_member_that_has_left(three: Served) -> None:
    clock = BootClock()
    with contextlib.closing(Client(EtcdSettings(endpoints=three.endpoints[:1]), clock)) as client:
        for endpoint in three.endpoints:
            client.learn((), named=(endpoint,))
            client.call("kv/range", Keys.of(PREFIX, "demo").all(), until=clock.now() + CALL_S, repeatable=True)
            assert client.connected == {endpoint}


@contextlib.contextmanager
def followed(settings: EtcdSettings, *, discover_every_s: float) -> Iterator[tuple[Dcs, Client]]:
    """A session as the plugin makes it, but for one setting of its watch; and what asks for it."""
    clock, keys = BootClock(), Keys.of(PREFIX, "demo")
    sightings, client, watching = Sightings(clock), Client(settings, clock), Client(settings, clock)
    discovery = Discovery(settings, watching, clock, every_s=discover_every_s)
    watch = Watch(
        client=watching,
        discovery=discovery,
        session=client,
        keys=keys,
        sightings=sightings,
        ttl_s=60.0,
    )
    session = EtcdDcs(client=client, watch=watch, keys=keys, member="a", clock=clock, sightings=sightings)
    with contextlib.closing(session):
        session.watch(lambda: None)
        yield session, client


def follower(three: Served) -> EtcdMember:
    leader = three.etcd.leader()
    return next(member for member in three.etcd.members if member is not leader)
