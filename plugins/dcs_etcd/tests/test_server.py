"""What only a real etcd can show: its keys, its leases, its members, its refusals."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused, Renewed, RenewRequest
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, eventually, look, renew, request_for, take, takes_at_most, write, written
from hacore.testing.etcd import Etcd
from hacore.testing.faults.freezer import frozen
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings
from plugins.dcs_etcd.tests.served import Served, served

TTL_S = 4.0


@pytest.fixture
def etcd(scratch: Path) -> Iterator[Etcd]:
    with Etcd(scratch) as server:
        yield server


@pytest.fixture
def three() -> Iterator[Served]:
    with served(3) as servers:
        yield servers


def settings_of(etcd: Etcd, **more: str | None) -> EtcdSettings:
    return EtcdSettings(endpoints=tuple(member.url for member in etcd.members), **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def opened(settings: EtcdSettings, member: str = "a") -> Iterator[Dcs]:
    with contextlib.closing(EtcdPlugin(settings).hacore_open_dcs(request_for("demo", member))) as session:
        yield session


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
        assert leader.process is not None
        with frozen(leader.process.pid):
            eventually(lambda: renewed(session, lock.instance), within_s=8.0)
        three.etcd.wait_ready()
        seen = look(session)
        assert seen.lock == lock
        assert "a" in seen.members


def test_a_minority_renews_nothing(three: Served) -> None:
    with opened(EtcdSettings(endpoints=three.endpoints)) as session:
        lock = take(session, 30.0)
        others = [member.process.pid for member in three.etcd.members[1:] if member.process is not None]
        with frozen(*others), takes_at_most(1.5), pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=1.5)
        three.etcd.wait_ready()
        eventually(lambda: renewed(session, lock.instance))


def test_a_full_store_is_no_loss_of_the_lock(scratch: Path) -> None:
    with Etcd(scratch, arguments=("--quota-backend-bytes", str(1 << 20))) as etcd, opened(settings_of(etcd)) as session:
        lock = take(session, 30.0)
        with pytest.raises(DcsUnavailableError):
            fill(session)
        with pytest.raises(DcsUnavailableError):
            renew(session, lock, 30.0, Put(name="hacore", value="1"))
        assert look(session).lock == lock


@pytest.fixture
def guarded(etcd: Etcd) -> Etcd:
    etcd.control("user", "add", "root:of-root")
    etcd.control("user", "grant-role", "root", "root")
    etcd.control("role", "add", "agent")
    etcd.control("role", "grant-permission", "agent", "readwrite", "--prefix", "/hacore-kit/")
    etcd.control("user", "add", "agent:right")
    etcd.control("user", "grant-role", "agent", "agent")
    etcd.control("user", "add", "stranger:right")
    etcd.control("auth", "enable")
    return etcd


def test_a_user_with_a_password_is_let_in_also_after_the_server_has_forgotten_its_token(guarded: Etcd) -> None:
    with opened(settings_of(guarded, username="agent", password="right")) as session:
        lock = take(session, 30.0, Put(name="hacore", value="1"))
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        member = guarded.members[0]
        member.kill()
        member.start()
        eventually(lambda: renewed(session, lock.instance))
        written(session, Put(name="config", value="1"))


def test_a_change_of_rights_asks_for_another_token(guarded: Etcd) -> None:
    with opened(settings_of(guarded, username="agent", password="right")) as session:
        written(session, Put(name="config", value="1"))
        guarded.control("--user", "root:of-root", "user", "add", "another:one")
        written(session, Put(name="config", value="2"))


@pytest.mark.parametrize(
    "user",
    [{}, {"username": "agent", "password": "wrong"}, {"username": "stranger", "password": "right"}],
    ids=["nobody", "wrong", "without rights"],
)
def test_a_user_who_may_not_is_a_wrong_configuration(guarded: Etcd, user: dict[str, str]) -> None:
    settings = settings_of(guarded, **user)
    with pytest.raises(ConfigError, match="etcd3"), opened(settings):
        pass
    request = Validate(context=request_for("demo", "a").context, online=True)
    assert len(EtcdPlugin(settings).hacore_validate(request)) == 1


def test_a_user_is_not_asked_for_by_a_cluster_without_users(etcd: Etcd) -> None:
    with opened(settings_of(etcd, username="agent", password="right")) as session:
        written(session, Put(name="config", value="1"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("certificate")
    certificate, key = directory / "server.crt", directory / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hacore test", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_an_encrypted_server_is_verified(scratch: Path, certificate: tuple[Path, Path]) -> None:
    for source in certificate:
        (scratch / source.name).write_bytes(source.read_bytes())
        (scratch / source.name).chmod(0o644)
    cert, key = str(scratch / "server.crt"), str(scratch / "server.key")
    with TcpProxy(("127.0.0.1", 9)) as proxy:
        arguments = ("--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", cert)
        etcd = Etcd(scratch, scheme="https", arguments=arguments)
        member = etcd.members[0]
        proxy.aim(("127.0.0.1", member.client_port))
        member.start()
        try:
            trusting = EtcdSettings(endpoints=(f"https://{proxy.endpoint}",), discover=False, cacert=cert, cert=cert, key=key)
            eventually(lambda: answers(trusting))
            with opened(trusting) as session:
                lock = take(session, 30.0, Put(name="config", value="1"))
                assert isinstance(renew(session, lock, 30.0), Renewed)
                with proxy.suffering(Fault(drip_s=0.02)), takes_at_most(1.0), pytest.raises(DcsUnavailableError):
                    session.snapshot(timeout_s=1.0)
                assert look(session).records["config"].value == "1"
            assert not answers(EtcdSettings(endpoints=trusting.endpoints, discover=False))  # nobody we trust has signed it
            assert not answers(EtcdSettings(endpoints=trusting.endpoints, discover=False, cacert=cert))  # it wants to know us
        finally:
            etcd.close()


def test_certificates_that_are_missing_are_a_wrong_configuration() -> None:
    settings = EtcdSettings(endpoints=("https://127.0.0.1:9",), cacert="/nowhere/ca.pem")
    with pytest.raises(ConfigError, match="nowhere"), opened(settings):
        pass
    assert "nowhere" in EtcdPlugin(settings).hacore_validate(Validate(context=request_for("demo", "a").context))[0]


def test_advertised_loopback_addresses_are_no_servers_of_another_machine(etcd: Etcd) -> None:
    member = etcd.members[0]
    client = Client(EtcdSettings(endpoints=(f"http://0.0.0.0:{member.client_port}",)), BootClock())  # another name of this machine
    client.discover(timeout_s=CALL_S)
    assert client.endpoints == (f"http://0.0.0.0:{member.client_port}",)
    client.close()


def test_an_acquisition_replaces_a_lock_only_as_a_whole(etcd: Etcd) -> None:
    with opened(settings_of(etcd)) as a, opened(settings_of(etcd), "b") as b:
        lock = take(a, 30.0, Put(name="hacore", value="1"))
        wrong = AcquireRequest(ttl_s=30.0, puts=(Put(name="hacore", value="2", expected=1),), replaces=lock)
        assert b.acquire(wrong, timeout_s=CALL_S) == Refused(holder="a")
        assert look(b).lock == lock


def fill(session: Dcs) -> None:
    for number in range(40):
        written(session, Put(name=f"filler/{number}", value="x" * 100_000))


def renewed(session: Dcs, instance: str) -> bool:
    with contextlib.suppress(DcsUnavailableError):
        seen = look(session)
        assert seen.lock is not None
        assert seen.lock.instance == instance
        answer = session.renew(RenewRequest(lock=seen.lock, ttl_s=10.0), timeout_s=CALL_S)
        assert isinstance(answer, Renewed)
        return True
    return False


def answers(settings: EtcdSettings) -> bool:
    with contextlib.suppress(DcsUnavailableError), opened(settings) as session:
        write(session, Put(name="status", value="1"))
        return True
    return False
