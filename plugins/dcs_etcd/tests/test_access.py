"""Who is let in: users with passwords and rights, certificates on both sides."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.hookspecs import Validate
from hacore.interfaces import Put, ReleaseRequest, Renewed
from hacore.testing.conformance.store import (
    CALL_S,
    EVENTUALLY_S,
    Wakes,
    eventually,
    look,
    renew,
    request_for,
    take,
    takes_at_most,
    write,
    written,
)
from hacore.testing.etcd import Etcd
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings
from plugins.dcs_etcd.tests.certificates import Authority
from plugins.dcs_etcd.tests.served import guard, is_written, let_in, opened, renewed, settings_of

ONE_CLUSTER = "/hacore-kit/demo/"


@pytest.fixture
def etcd(scratch: Path) -> Iterator[Etcd]:
    with Etcd(scratch) as server:
        yield server


@pytest.fixture
def guarded(etcd: Etcd) -> Etcd:
    let_in(etcd, "agent", prefix=ONE_CLUSTER)
    etcd.control("user", "add", "stranger:right")
    guard(etcd)
    return etcd


@contextlib.contextmanager
def signing(scratch: Path, ttl: str) -> Iterator[Etcd]:
    """A server with users that signs its tokens and keeps none: who may what is part of them, by the revision of users and roles."""
    signer = Authority.made(scratch).issued("tokens")
    token = f"jwt,pub-key={signer.certificate},priv-key={signer.key},sign-method=RS256,ttl={ttl}"
    with Etcd(scratch, arguments=("--auth-token", token)) as etcd:
        let_in(etcd, "agent", prefix=ONE_CLUSTER)
        guard(etcd)
        yield etcd


def agent(etcd: Etcd) -> EtcdSettings:
    return settings_of(etcd, username="agent", password="right")


def test_a_user_limited_to_the_one_prefix_can_do_all_that_an_agent_does(guarded: Etcd) -> None:
    with opened(agent(guarded)) as session, opened(agent(guarded), "b") as other:
        wakes = Wakes()
        other.watch(wakes)
        assert wakes.within(EVENTUALLY_S, after=0)
        before = wakes.quiet()
        lock = take(session, 30.0, Put(name="hacore", value="1"))
        session.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        assert isinstance(renew(session, lock, 30.0, Put(name="hacore", value="2")), Renewed)
        written(session, Put(name="config", value="1"), lock=lock)
        assert wakes.within(EVENTUALLY_S, after=before)
        assert other.snapshot(timeout_s=CALL_S, max_age_s=10.0).lock == lock
        session.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        session.withdraw(timeout_s=CALL_S)
        assert dict(look(other).members) == {}


def test_it_reaches_no_other_cluster(guarded: Etcd) -> None:
    with pytest.raises(ConfigError, match="permission denied"), opened(agent(guarded), cluster="demo-2"):
        pass


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
        guarded.control("user", "add", "another:one")
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


def test_a_token_whose_time_has_passed_is_fetched_anew(scratch: Path) -> None:
    with Etcd(scratch, arguments=("--auth-token-ttl", "1")) as etcd:
        let_in(etcd, "agent", prefix=ONE_CLUSTER)
        guard(etcd)
        with opened(agent(etcd)) as session:
            lock = take(session, 30.0)
            for _ in range(3):
                time.sleep(2.5)  # twice the time of a token
                assert isinstance(renew(session, lock, 30.0), Renewed)


def test_a_watch_that_is_opened_again_uses_no_token_of_before(scratch: Path) -> None:
    with Etcd(scratch, arguments=("--auth-token-ttl", "1")) as etcd:
        let_in(etcd, "agent", prefix=ONE_CLUSTER)
        guard(etcd)
        with opened(agent(etcd)) as session:
            session.publish("member", ttl_s=60.0, timeout_s=CALL_S)  # the watch may be silent for half of it
            wakes = Wakes()
            session.watch(wakes)
            assert wakes.within(EVENTUALLY_S, after=0)
            time.sleep(2.5)  # twice the time of a token, which counts from its last use
            before = wakes.quiet()
            session.publish("member again", ttl_s=30.0, timeout_s=CALL_S)  # another bound on silence: opened again
            assert wakes.within(EVENTUALLY_S, after=before)
            before = wakes.quiet()
            written(session, Put(name="config", value="1"))
            assert wakes.within(EVENTUALLY_S, after=before)


def test_a_signed_token_whose_time_has_passed_is_fetched_anew(scratch: Path) -> None:
    with signing(scratch, "1s") as etcd, opened(agent(etcd)) as session:
        lock = take(session, 30.0)
        for _ in range(3):
            time.sleep(1.5)
            assert isinstance(renew(session, lock, 30.0), Renewed)


def test_a_change_of_rights_makes_every_signed_token_old_and_is_met_within_the_call(scratch: Path) -> None:
    with signing(scratch, "1h") as etcd, opened(agent(etcd)) as session:
        lock = take(session, 30.0)
        etcd.control("user", "add", "another:one")
        assert look(session).lock == lock
        etcd.control("user", "add", "a-third:one")
        assert isinstance(renew(session, lock, 30.0), Renewed)
        etcd.control("user", "add", "a-fourth:one")
        written(session, Put(name="config", value="1"))


def test_rights_that_are_revoked_are_no_loss_of_the_lock_and_their_return_is_noticed(guarded: Etcd) -> None:
    with opened(agent(guarded)) as session:
        wakes = Wakes()
        session.watch(wakes)
        lock = take(session, 30.0)
        guarded.control("user", "revoke-role", "agent", "only-agent")
        for call in (lambda: renew(session, lock, 30.0), lambda: look(session), lambda: write(session, Put(name="config", value="1"))):
            with takes_at_most(1.0), pytest.raises(DcsUnavailableError, match="permission denied"):
                call()
        guarded.control("user", "grant-role", "agent", "only-agent")
        eventually(lambda: renewed(session, lock.instance))
        eventually(lambda: is_written(session, "config", "2"))


def test_a_watch_without_rights_wakes_nobody_again_and_again(guarded: Etcd) -> None:
    with opened(agent(guarded)) as session:
        wakes = Wakes()
        session.watch(wakes)
        assert wakes.within(EVENTUALLY_S, after=0)
        guarded.control("user", "revoke-role", "agent", "only-agent")
        before = wakes.quiet(1.0)
        assert not wakes.within(5.0, after=before)  # three times what a silent watch is given
        guarded.control("user", "grant-role", "agent", "only-agent")
        assert wakes.within(EVENTUALLY_S, after=before)


def test_a_password_that_was_changed_is_no_loss_of_the_lock(guarded: Etcd) -> None:
    with opened(agent(guarded)) as session:
        lock = take(session, 30.0)
        guarded.control("user", "delete", "agent")
        with takes_at_most(1.0), pytest.raises(DcsUnavailableError):
            renew(session, lock, 30.0)
        guarded.control("user", "add", "agent:right")
        guarded.control("user", "grant-role", "agent", "only-agent")
        eventually(lambda: renewed(session, lock.instance))


def test_users_that_are_switched_off_and_on_again_disturb_nobody(guarded: Etcd) -> None:
    with opened(agent(guarded)) as session:
        lock = take(session, 30.0)
        guarded.control("auth", "disable")
        guarded.user = None
        assert isinstance(renew(session, lock, 30.0), Renewed)
        guarded.control("auth", "enable")
        guarded.user = "root:of-root"
        assert isinstance(renew(session, lock, 30.0), Renewed)


def test_an_encrypted_server_wants_a_certificate_and_shows_one(scratch: Path) -> None:
    authority, stranger = Authority.made(scratch), Authority.made(scratch, "stranger")
    ours = authority.issued("agent", usage="clientAuth")
    foreign = stranger.issued("foreigner", usage="clientAuth")
    with Etcd(scratch, tls=authority.issued("server")) as etcd, TcpProxy(("127.0.0.1", etcd.members[0].client_port)) as proxy:
        place = (f"https://{proxy.endpoint}",)
        cert, key, cacert = str(ours.certificate), str(ours.key), str(ours.ca)
        trusting = EtcdSettings(endpoints=place, discover=False, cacert=cacert, cert=cert, key=key)
        with opened(trusting) as session:
            lock = take(session, 30.0, Put(name="config", value="1"))
            assert isinstance(renew(session, lock, 30.0), Renewed)
            with proxy.suffering(Fault(drip_s=0.02)), takes_at_most(1.0), pytest.raises(DcsUnavailableError):
                session.snapshot(timeout_s=1.0)
            assert look(session).records["config"].value == "1"
        assert not answers(EtcdSettings(endpoints=place, discover=False, cert=cert, key=key))  # nobody we trust has signed it
        assert not answers(EtcdSettings(endpoints=place, discover=False, cacert=str(stranger.certificate), cert=cert, key=key))
        assert not answers(EtcdSettings(endpoints=place, discover=False, cacert=cacert))  # it wants to know us
        assert not answers(
            EtcdSettings(endpoints=place, discover=False, cacert=cacert, cert=str(foreign.certificate), key=str(foreign.key))
        )


def test_the_certificate_of_another_host_is_refused(scratch: Path) -> None:
    authority = Authority.made(scratch)
    ours = authority.issued("agent", usage="clientAuth")
    credentials = {"cacert": str(ours.ca), "cert": str(ours.certificate), "key": str(ours.key)}
    with Etcd(scratch, tls=authority.issued("server", place="IP:127.0.0.1")) as etcd:
        port = etcd.members[0].client_port
        assert answers(EtcdSettings(endpoints=(f"https://127.0.0.1:{port}",), discover=False, **credentials))  # type: ignore[arg-type]
        assert not answers(EtcdSettings(endpoints=(f"https://localhost:{port}",), discover=False, **credentials))  # type: ignore[arg-type]


def test_users_and_certificates_go_together_where_those_have_no_common_name(scratch: Path) -> None:
    authority = Authority.made(scratch)
    with Etcd(scratch, tls=authority.issued("server")) as etcd:
        let_in(etcd, "agent", prefix=ONE_CLUSTER)
        guard(etcd)
        for is_named in (True, False):
            ours = authority.issued("agent", usage="clientAuth", is_named=is_named)
            files = {"cacert": str(ours.ca), "cert": str(ours.certificate), "key": str(ours.key)}
            settings = settings_of(etcd, username="agent", password="right", **files)
            if is_named:
                with pytest.raises(ConfigError, match="our certificate has a common name"), opened(settings):
                    pass
            else:
                with opened(settings) as session:
                    written(session, Put(name="config", value="1"))


@pytest.mark.parametrize("wrong", ["cacert", "cert", "key"])
def test_a_file_that_is_missing_is_named_alone_with_its_key(scratch: Path, wrong: str) -> None:
    ours = Authority.made(scratch).issued("ours")
    files: dict[str, Any] = {"cacert": str(ours.ca), "cert": str(ours.certificate), "key": str(ours.key)}
    settings = EtcdSettings(endpoints=("https://127.0.0.1:9",), **{**files, wrong: "/nowhere.pem"})
    with pytest.raises(ConfigError, match=rf"^etcd3\.{wrong}: /nowhere\.pem: No such file"), opened(settings):
        pass
    (said,) = EtcdPlugin(settings).hacore_validate(Validate(context=request_for("demo", "a").context))
    assert [key for key in files if f".{key}: " in said] == [wrong]


def answers(settings: EtcdSettings) -> bool:
    with contextlib.suppress(DcsUnavailableError), opened(settings) as session:
        write(session, Put(name="status", value="1"))
        return True
    return False
