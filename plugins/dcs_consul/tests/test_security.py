"""Tokens and certificates, on a real Consul that asks for them."""

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import Put, Renewed
from hacore.testing.conformance.store import CALL_S, eventually, look, renew, request_for, take, written
from hacore.testing.consul import Consul
from hacore.testing.workdir import give_away
from hacore_dcs_consul.plugin import ConsulPlugin
from hacore_dcs_consul.settings import ConsulSettings
from plugins.dcs_consul.tests.test_server import TTL_S, opened

MANAGEMENT = str(uuid.UUID(int=7))
RIGHTS = 'key_prefix "hacore-kit/" { policy = "write" } session_prefix "" { policy = "write" }'


@pytest.fixture
def guarded(scratch: Path) -> Iterator[Consul]:
    tokens = {"initial_management": MANAGEMENT, "agent": MANAGEMENT}
    acl = {"enabled": True, "default_policy": "deny", "tokens": tokens, "token_ttl": "0s", "policy_ttl": "0s"}
    with Consul(scratch, settings={"acl": acl}, token=MANAGEMENT) as consul:
        yield consul


def grant(consul: Consul, rules: str, name: str = "agent") -> str:
    consul.ask("acl/policy", {"Name": name, "Rules": rules}, method="PUT")
    return str(consul.ask("acl/token", {"Policies": [{"Name": name}]}, method="PUT")["SecretID"])


def settings_of(consul: Consul, token: str | None) -> ConsulSettings:
    return ConsulSettings(endpoints=(consul.servers[0].url,), token=token)


def test_a_token_with_the_rights_of_the_readme_is_enough(guarded: Consul) -> None:
    with opened(settings_of(guarded, grant(guarded, RIGHTS))) as session:
        lock = take(session, TTL_S, Put(name="hacore", value="1"))
        session.publish("member", ttl_s=TTL_S, timeout_s=CALL_S)
        assert isinstance(renew(session, lock, TTL_S, Put(name="hacore", value="2")), Renewed)
        assert set(look(session).members) == {"a"}


@pytest.mark.parametrize("token", [None, str(uuid.UUID(int=9)), "without rights"], ids=["nobody", "unknown", "without rights"])
def test_a_token_that_may_not_is_a_wrong_configuration(guarded: Consul, token: str | None) -> None:
    shown = grant(guarded, 'key_prefix "other/" { policy = "write" }') if token == "without rights" else token
    settings = settings_of(guarded, shown)
    with pytest.raises(ConfigError, match="token"), opened(settings):
        pass
    request = Validate(context=request_for("demo", "a").context, online=True)
    assert len(ConsulPlugin(settings).hacore_validate(request)) == 1


def test_a_token_that_may_only_read_is_refused_as_a_want_of_rights_and_not_as_a_lost_comparison(guarded: Consul) -> None:
    token = grant(guarded, 'key_prefix "hacore-kit/" { policy = "read" } session_prefix "" { policy = "write" }')
    with opened(settings_of(guarded, token)) as session:
        with pytest.raises(DcsUnavailableError, match="ermission denied"):
            take(session, TTL_S)
        assert look(session).lock is None


def test_a_token_that_is_deleted_makes_the_store_unavailable_and_not_empty(guarded: Consul) -> None:
    token = grant(guarded, RIGHTS)
    with opened(settings_of(guarded, token)) as session:
        lock = take(session, 30.0)
        accessor = next(one["AccessorID"] for one in guarded.ask("acl/tokens") if one["SecretID"] == token)
        guarded.ask(f"acl/token/{accessor}", method="DELETE")
        with pytest.raises(DcsUnavailableError):
            look(session)
        with pytest.raises(DcsUnavailableError):
            renew(session, lock, 30.0)


def narrow(consul: Consul, *rules: str) -> None:
    """Let the agent's token do less."""
    policy = next(one["ID"] for one in consul.ask("acl/policies") if one["Name"] == "agent")
    consul.ask(f"acl/policy/{policy}", {"Name": "agent", "Rules": " ".join(rules)}, method="PUT")


ENOUGH_FOR_A_LOCK = (
    'key "hacore-kit/demo/leader" { policy = "write" }',
    'key "hacore-kit/demo/config" { policy = "read" }',
    'session_prefix "" { policy = "write" }',
)


def test_records_that_the_token_may_no_longer_read_make_the_store_unavailable_and_not_smaller(guarded: Consul) -> None:
    token = grant(guarded, RIGHTS)
    with opened(settings_of(guarded, token)) as session:
        written(session, Put(name="config", value="1"), Put(name="hacore", value="1"))
        lock = take(session, 30.0)
        assert isinstance(renew(session, lock, 30.0), Renewed)
        narrow(guarded, *ENOUGH_FOR_A_LOCK)
        for _ in range(2):
            with pytest.raises(DcsUnavailableError, match="may not read"):
                renew(session, lock, 30.0)
        with pytest.raises(DcsUnavailableError, match="may not read"):
            look(session)
        narrow(guarded, RIGHTS)
        answer = renew(session, lock, 30.0)
        assert isinstance(answer, Renewed)
        assert set(answer.snapshot.records) == {"config", "hacore"}


def test_a_record_that_a_renewal_never_showed_is_missed_by_the_watch(guarded: Consul) -> None:
    """It came when the token could not read it any more."""
    token = grant(guarded, RIGHTS)
    with opened(settings_of(guarded, token)) as session:
        written(session, Put(name="config", value="1"))
        lock = take(session, 30.0)
        assert isinstance(renew(session, lock, 30.0), Renewed)
        session.watch(lambda: None)
        narrow(guarded, *ENOUGH_FOR_A_LOCK)
        guarded.ask("kv/hacore-kit/demo/hacore", "1", method="PUT")

        def is_missed() -> bool:
            try:
                renew(session, lock, 30.0)
            except DcsUnavailableError as error:
                return "may not read" in str(error)
            return False

        eventually(is_missed)


def test_a_record_that_somebody_removed_is_gone_from_a_renewal(guarded: Consul) -> None:
    with opened(settings_of(guarded, grant(guarded, RIGHTS))) as session:
        written(session, Put(name="config", value="1"), Put(name="hacore", value="1"))
        lock = take(session, 30.0)
        assert isinstance(renew(session, lock, 30.0), Renewed)
        guarded.ask("kv/hacore-kit/demo/config", method="DELETE")
        for _ in range(2):
            answer = renew(session, lock, 30.0)
            assert isinstance(answer, Renewed)
            assert set(answer.snapshot.records) == {"hacore"}


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and two certificates that it has signed: the agent's and ours."""
    directory = tmp_path_factory.mktemp("certificates")
    request = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    openssl(directory, *request, "/CN=authority", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("agent", "node"):
        openssl(directory, *request, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-extfile", "names", "-out", f"{name}.crt")
        openssl(directory, "x509", "-req", *signed)
    return directory


@pytest.fixture
def encrypted(scratch: Path, certificates: Path) -> Iterator[tuple[Consul, str]]:
    """A Consul that wants our certificate, and its address."""
    for name in ("ca.crt", "agent.crt", "agent.key"):
        (scratch / name).write_bytes((certificates / name).read_bytes())
        give_away(scratch / name)
    files: dict[str, Any] = {
        f"{kind}_file": str(scratch / name) for kind, name in (("ca", "ca.crt"), ("cert", "agent.crt"), ("key", "agent.key"))
    }
    with Consul(scratch, settings={"tls": {"https": {**files, "verify_incoming": True}}}) as consul:
        yield consul, f"https://localhost:{consul.servers[0].ports['https']}"


def ours(endpoint: str, certificates: Path) -> ConsulSettings:
    return ConsulSettings(endpoints=(endpoint,), cert=str(certificates / "node.crt"), key=str(certificates / "node.key"))


def test_a_connection_is_encrypted_and_both_ends_are_verified(encrypted: tuple[Consul, str], certificates: Path) -> None:
    settings = replace(ours(encrypted[1], certificates), cacert=str(certificates / "ca.crt"))
    with opened(settings) as session:
        lock = take(session, TTL_S)
        assert isinstance(renew(session, lock, TTL_S), Renewed)


def test_certificates_that_are_written_anew_are_used_without_a_restart(
    encrypted: tuple[Consul, str], certificates: Path, scratch: Path
) -> None:
    consul, endpoint = encrypted
    for name in ("ca.crt", "node.crt", "node.key"):
        (scratch / f"our-{name}").write_bytes((certificates / name).read_bytes())
    files = {key: str(scratch / f"our-{name}") for key, name in (("cacert", "ca.crt"), ("cert", "node.crt"), ("key", "node.key"))}
    with opened(ConsulSettings(endpoints=(endpoint,), **files)) as session:  # type: ignore[arg-type]
        lock = take(session, 60.0)
        (scratch / "our-node.crt").write_bytes((certificates / "agent.crt").read_bytes())
        (scratch / "our-node.key").write_bytes((certificates / "agent.key").read_bytes())
        (scratch / "our-ca.crt").write_bytes((certificates / "agent.crt").read_bytes())  # which signs nothing
        consul.close()
        consul.start()
        with pytest.raises(DcsUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            renew(session, lock, 60.0)
        (scratch / "our-ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
        assert isinstance(renew(session, lock, 60.0), Renewed)


def test_an_agent_that_cannot_be_verified_is_not_spoken_to_unless_that_is_switched_off(
    encrypted: tuple[Consul, str], certificates: Path
) -> None:
    settings = ours(encrypted[1], certificates)
    with pytest.raises(DcsUnavailableError, match="CERTIFICATE_VERIFY_FAILED"), opened(settings):
        pass
    with opened(replace(settings, verify=False)) as session:
        take(session, TTL_S)


def test_without_our_certificate_the_agent_does_not_speak_to_us(encrypted: tuple[Consul, str], certificates: Path) -> None:
    settings = ConsulSettings(endpoints=(encrypted[1],), cacert=str(certificates / "ca.crt"))
    with pytest.raises(DcsUnavailableError), opened(settings):
        pass


@pytest.mark.parametrize("wrong", ["cacert", "cert", "key"])
def test_a_file_that_is_none_is_named_alone_with_its_key(scratch: Path, certificates: Path, wrong: str) -> None:
    (scratch / "broken.pem").write_text("nonsense")
    files: dict[str, Any] = {
        key: str(certificates / name) for key, name in (("cacert", "ca.crt"), ("cert", "node.crt"), ("key", "node.key"))
    }
    settings = ConsulSettings(endpoints=("https://127.0.0.1:9",), **{**files, wrong: str(scratch / "broken.pem")})
    with pytest.raises(ConfigError, match=rf"^consul\.{wrong}: .*broken\.pem: no "), opened(settings):
        pass
    (said,) = ConsulPlugin(settings).hacore_validate(Validate(context=request_for("demo", "a").context))
    assert [key for key in files if f".{key}: " in said] == [wrong]
