"""Members that are found by DNS: a real name server, real members."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put
from hacore.testing.conformance.store import eventually, look, renew, take, takes_at_most, written
from hacore.testing.etcd import Etcd
from hacore.testing.ports import free_port
from hacore_dcs_etcd.settings import EtcdSettings
from plugins.dcs_etcd.tests.name_server import DOMAIN, NameServer
from plugins.dcs_etcd.tests.served import is_written, opened

MOVED_S = 40.0  # ten seconds until DNS is asked in need, and a busy machine


@pytest.fixture
def name_server(scratch: Path) -> Iterator[NameServer]:
    with NameServer(directory=scratch) as server:
        yield server


@pytest.fixture
def etcd(scratch: Path) -> Iterator[Etcd]:
    with Etcd(scratch) as server:
        yield server


def settings(name_server: NameServer, suffix: str | None = None) -> EtcdSettings:
    return EtcdSettings(srv=DOMAIN, srv_suffix=suffix, srv_nameserver=name_server.place)


@pytest.mark.parametrize("service", ["_etcd-client", "_etcd"])
def test_the_servers_are_those_that_dns_names_for_clients(etcd: Etcd, name_server: NameServer, service: str) -> None:
    name_server.serve([(f"{service}._tcp", etcd.members[0].client_port)])
    with opened(settings(name_server)) as session:
        written(session, Put(name="config", value="1"))
        assert look(session).records["config"].value == "1"


def test_where_dns_names_peers_they_are_asked_for_the_addresses_of_clients(etcd: Etcd, name_server: NameServer) -> None:
    name_server.serve([("_etcd-server._tcp", free_port()), ("_etcd-server._tcp", etcd.members[0].peer_port)])
    with opened(settings(name_server)) as session:
        written(session, Put(name="config", value="1"))


def test_names_for_clients_come_before_those_of_peers(etcd: Etcd, name_server: NameServer) -> None:
    nobody = free_port()
    name_server.serve([("_etcd-client._tcp", etcd.members[0].client_port), ("_etcd._tcp", nobody), ("_etcd-server._tcp", nobody)])
    with opened(settings(name_server)) as session:
        written(session, Put(name="config", value="1"))


def test_the_suffix_tells_clusters_of_one_domain_apart(etcd: Etcd, name_server: NameServer) -> None:
    name_server.serve([("_etcd-client._tcp", free_port()), ("_etcd-client-green._tcp", etcd.members[0].client_port)])
    with opened(settings(name_server, "green")) as session:
        written(session, Put(name="config", value="1"))
    with pytest.raises(DcsUnavailableError, match="suffix blue"), opened(settings(name_server, "blue")):
        pass


def test_a_domain_without_records_is_named(name_server: NameServer) -> None:
    name_server.serve([("_else._tcp", 1)])
    with takes_at_most(2.0), pytest.raises(DcsUnavailableError, match=f"{DOMAIN} has no SRV record"), opened(settings(name_server)):
        pass


def test_a_name_server_that_is_silent_at_the_start_is_waited_for_no_longer_than_allowed(etcd: Etcd, name_server: NameServer) -> None:
    name_server.serve([("_etcd-client._tcp", etcd.members[0].client_port)])
    with name_server.frozen(), takes_at_most(3.0), pytest.raises(DcsUnavailableError, match=DOMAIN), opened(settings(name_server)):
        pass


def test_a_name_server_that_falls_silent_later_costs_nothing(etcd: Etcd, name_server: NameServer) -> None:
    name_server.serve([("_etcd-client._tcp", etcd.members[0].client_port)])
    with opened(settings(name_server)) as session:
        lock = take(session, 10.0)
        with name_server.frozen(), takes_at_most(0.5):
            for number in range(10):
                renew(session, lock, 10.0, Put(name="hacore", value=str(number)))
        assert look(session).records["hacore"].value == "9"


def test_members_that_have_moved_are_found_again(scratch: Path, name_server: NameServer) -> None:
    (scratch / "old").mkdir()
    (scratch / "new").mkdir()
    with Etcd(scratch / "old") as old:
        name_server.serve([("_etcd-client._tcp", old.members[0].client_port)])
        with opened(settings(name_server)) as session:
            session.watch(lambda: None)
            written(session, Put(name="config", value="1"))
            old.close()
            with Etcd(scratch / "new") as new:
                name_server.serve([("_etcd-client._tcp", new.members[0].client_port)])
                eventually(lambda: is_written(session, "config", "2"), within_s=MOVED_S)
                assert "config" in new.control("get", "--prefix", "/hacore-kit/demo/")
