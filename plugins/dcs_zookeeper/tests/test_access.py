"""Who may do what: credentials, rights on nodes, certificates."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kazoo.security import make_digest_acl

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import AcquireRequest, Put, Renewed
from hacore.testing.conformance.store import CALL_S, eventually, look, renew, request_for, take, takes_at_most, written
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore.testing.ports import Ports
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.plugin import ZookeeperPlugin
from hacore_dcs_zookeeper.settings import ZookeeperSettings
from plugins.dcs_zookeeper.tests.served import another_client
from plugins.dcs_zookeeper.tests.sessions import CLUSTER, answered, opened, settings_of

OURS = ("digest", "agent:right")


@pytest.fixture
def zookeeper(scratch: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(scratch) as server:
        yield server


@pytest.fixture
def guarded(scratch: Path) -> Iterator[ZooKeeper]:
    """A server where only ``agent`` may do anything with the clusters of the kit."""
    with ZooKeeper(scratch) as zookeeper:
        with another_client(zookeeper, auth_data=[OURS]) as client:
            client.create("/hacore-kit", acl=[make_digest_acl("agent", "right", all=True)])
            client.create(CLUSTER, acl=[make_digest_acl("agent", "right", all=True)])
        yield zookeeper


def test_who_has_the_credential_may_do_everything(guarded: ZooKeeper) -> None:
    with opened(settings_of(guarded, auth_data=(OURS,))) as session:
        lock = take(session, 30.0, Put(name="hacore", value="1"))
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        guarded.members[0].kill()
        guarded.start()
        eventually(lambda: answered(lambda: renew(session, lock, 30.0)))  # the credential is given with each connection
        assert isinstance(renew(session, lock, 30.0), Renewed)


@pytest.mark.parametrize("auth", [(), (("digest", "agent:wrong"),), (("no-such-scheme", "x"),)], ids=["nobody", "wrong", "unknown"])
def test_who_has_not_is_a_wrong_configuration(guarded: ZooKeeper, auth: tuple[tuple[str, str], ...]) -> None:
    settings = settings_of(guarded, auth_data=auth)
    with takes_at_most(CALL_S), pytest.raises(ConfigError, match="want"), opened(settings):
        pass
    request = Validate(context=request_for("demo", "a").context, online=True)
    assert len(ZookeeperPlugin(settings).hacore_validate(request)) == 1


def test_who_may_read_and_not_write_is_told_so_by_each_call(guarded: ZooKeeper) -> None:
    with another_client(guarded, auth_data=[OURS]) as client:
        for path in ("/hacore-kit", CLUSTER):
            client.set_acls(path, [make_digest_acl("agent", "right", all=True), make_digest_acl("guest", "x", read=True)])
    with opened(settings_of(guarded, auth_data=(("digest", "guest:x"),))) as session:
        look(session)
        with takes_at_most(0.0), pytest.raises(DcsUnavailableError, match="NoAuth"):
            session.acquire(AcquireRequest(ttl_s=30.0), timeout_s=CALL_S)


def make_certificate(directory: Path, name: str) -> tuple[str, str]:
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)


@pytest.fixture
def encrypted(scratch: Path) -> Iterator[tuple[ZooKeeper, TcpProxy, dict[str, str]]]:
    """A server that wants to know its clients by their certificates, behind a proxy, and who is right to ask it."""
    server, key = make_certificate(scratch, "server")
    client, client_key = make_certificate(scratch, "client")
    both = scratch / "server.pem"
    both.write_text(Path(server).read_text() + Path(key).read_text())
    for path in (both, Path(client)):
        path.chmod(0o644)
    with Ports() as ports, TcpProxy(("127.0.0.1", 9)) as proxy:
        port = ports.take()
        lines = (
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
            f"secureClientPort={port}",
            "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider",
            f"ssl.keyStore.location={both}", "ssl.keyStore.type=PEM",
            f"ssl.trustStore.location={client}", "ssl.trustStore.type=PEM", "ssl.hostnameVerification=false",
        )  # fmt: skip
        proxy.aim(("127.0.0.1", port))
        with ZooKeeper(scratch, lines=lines) as zookeeper:
            yield zookeeper, proxy, {"cacert": server, "cert": client, "key": client_key}


def test_an_encrypted_server_is_verified_and_knows_us(encrypted: tuple[ZooKeeper, TcpProxy, dict[str, str]]) -> None:
    _, proxy, right = encrypted
    trusting = ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, **right)  # type: ignore[arg-type]
    eventually(lambda: answers(trusting))
    with opened(trusting) as session:
        lock = take(session, 30.0, Put(name="config", value="x" * 100_000))
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        assert isinstance(renew(session, lock, 30.0), Renewed)
        with proxy.suffering(Fault(drip_s=0.02)), takes_at_most(1.0), pytest.raises(DcsUnavailableError):
            session.snapshot(timeout_s=1.0)
        eventually(lambda: answered(lambda: look(session)))
        assert look(session).lock == lock
    distrusting = ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, cert=right["cert"], key=right["key"])
    with pytest.raises(DcsUnavailableError, match="CERTIFICATE_VERIFY_FAILED"), opened(distrusting):  # nobody we trust has signed it
        pass
    assert answers(ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, verify=False, cert=right["cert"], key=right["key"]))
    assert not answers(ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, cacert=right["cacert"]))  # it wants to know us


def test_authorities_that_are_named_are_trusted_in_the_place_of_the_machine_s_own(
    encrypted: tuple[ZooKeeper, TcpProxy, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, proxy, right = encrypted
    monkeypatch.setenv("SSL_CERT_FILE", right["cacert"])  # the machine trusts the server ...
    trusting = ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, cert=right["cert"], key=right["key"])
    eventually(lambda: answers(trusting))
    assert not answers(replace(trusting, cacert=right["cert"]))  # ... and we another


@pytest.mark.parametrize(
    ("host", "use_ssl", "why"),
    [
        ("no-such-host.invalid:2181", False, "no-such-host.invalid|Name or service|name resolution"),
        ("127.0.0.1:9", False, "Connection refused"),
        ("", True, "SSL"),  # a server that does not encrypt
    ],
)
def test_what_is_in_the_way_of_a_connection_is_said_of_each_server(zookeeper: ZooKeeper, host: str, why: str, *, use_ssl: bool) -> None:
    settings = ZookeeperSettings(hosts=(host or zookeeper.endpoints[0], "127.0.0.1:11"), use_ssl=use_ssl)
    with pytest.raises(DcsUnavailableError, match=f"({why}).*; 127.0.0.1:11: .*refused"), opened(settings):
        pass


def test_rights_are_given_to_the_principals_that_are_named(encrypted: tuple[ZooKeeper, TcpProxy, dict[str, str]]) -> None:
    zookeeper, proxy, right = encrypted
    rights = (("CN=client", ("ALL",)), ("CN=reader", ("READ", "WRITE")))
    settings = ZookeeperSettings(hosts=(proxy.endpoint,), use_ssl=True, set_acls=rights, **right)  # type: ignore[arg-type]
    eventually(lambda: answers(settings))
    known = {"hosts": proxy.endpoint, "use_ssl": True, "ca": right["cacert"], "certfile": right["cert"], "keyfile": right["key"]}
    with opened(settings) as session, another_client(zookeeper, **known) as client:
        take(session, 30.0)
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        written(session, Put(name="config", value="1"))
        for name in ("leader", "members", "members/a", "config"):
            found = {(acl.id.scheme, acl.id.id, acl.perms) for acl in client.get_acls(f"{CLUSTER}/{name}")[0]}
            assert found == {("x509", "CN=client", 31), ("x509", "CN=reader", 3)}, name
        with pytest.raises(ConfigError, match="NoAuth"), opened(settings_of(zookeeper)):
            pass


@pytest.mark.parametrize("wrong", ["cacert", "cert", "key"])
def test_a_file_that_is_missing_is_named_alone_with_its_key(scratch: Path, wrong: str) -> None:
    certificate, key = make_certificate(scratch, "ours")
    files: dict[str, Any] = {"cacert": certificate, "cert": certificate, "key": key}
    settings = ZookeeperSettings(hosts=("127.0.0.1:9",), use_ssl=True, **{**files, wrong: "/nowhere.pem"})
    with pytest.raises(ConfigError, match=rf"^zookeeper\.{wrong}: /nowhere\.pem: No such file"), opened(settings):
        pass
    (said,) = ZookeeperPlugin(settings).hacore_validate(Validate(context=request_for("demo", "a").context))
    assert [key for key in files if f".{key}: " in said] == [wrong]


def answers(settings: ZookeeperSettings) -> bool:
    def ask() -> None:
        with opened(settings, observer=True) as session:
            look(session)

    return answered(ask)
