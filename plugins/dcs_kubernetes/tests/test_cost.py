"""What the API server is asked for, by its own count: where the watches keep up, a renewal is one write and a calm member asks nothing."""

from collections import Counter
from collections.abc import Callable

import pytest

from hacore.interfaces import Dcs, Renewed
from hacore.testing.conformance.store import CALL_S, Wakes, eventually, look, now, renew, take
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES, Kind
from plugins.dcs_kubernetes.tests.served import Served
from plugins.dcs_kubernetes.tests.sessions import RUNNING, asked, opened

LONG_S = 600.0


def cost(shared: Served, work: Callable[[], object], *resources: str) -> Counter[str]:
    """The requests for these kinds that were answered during some work."""
    before = asked(shared)
    work()
    return Counter({what: number for what, number in (asked(shared) - before).items() if what.split()[1] in resources})


def watching(session: Dcs) -> None:
    wakes = Wakes()
    session.watch(wakes)
    assert wakes.within(CALL_S, after=0)
    eventually(lambda: session.snapshot(timeout_s=CALL_S, max_age_s=LONG_S).sent_at < look(session).sent_at)


@pytest.mark.parametrize("kind", [CONFIG_MAPS, ENDPOINTS, LEASES], ids=lambda kind: kind.resource)
def test_a_renewal_is_one_write(shared: Served, scope: str, kind: Kind) -> None:
    with opened(shared, kind, scope) as session:
        lock = take(session, LONG_S)
        session.publish(RUNNING, ttl_s=LONG_S, timeout_s=CALL_S)
        watching(session)
        assert isinstance(renew(session, lock, LONG_S), Renewed)

        def work() -> None:
            for _ in range(10):
                answer = renew(session, lock, LONG_S)
                assert isinstance(answer, Renewed)
                assert answer.snapshot.members["a"].value == RUNNING
                session.publish(RUNNING, ttl_s=LONG_S, timeout_s=CALL_S)

        assert cost(shared, work, kind.resource, "pods", "endpointslices") == Counter({f"PATCH {kind.resource}": 10})


def test_a_calm_member_asks_for_nothing_while_its_picture_is_young(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as leader, opened(shared, CONFIG_MAPS, scope, "b") as calm:
        lock = take(leader, LONG_S)
        calm.publish(RUNNING, ttl_s=LONG_S, timeout_s=CALL_S)
        watching(calm)

        def work() -> None:
            for _ in range(10):
                seen = calm.snapshot(timeout_s=CALL_S, max_age_s=LONG_S / 2)
                assert (seen.lock, seen.members["b"].value) == (lock, RUNNING)
                calm.publish(RUNNING, ttl_s=LONG_S, timeout_s=CALL_S)

        assert cost(shared, work, "configmaps", "pods") == Counter()


def test_a_beat_that_is_due_proves_the_picture_of_the_pods(shared: Served, scope: str) -> None:
    ttl_s = 4.0
    with opened(shared, CONFIG_MAPS, scope) as session:
        session.publish(RUNNING, ttl_s=ttl_s, timeout_s=CALL_S)
        watching(session)
        sent_at = look(session).sent_at
        eventually(lambda: sent_at + ttl_s / 2 < look(session).sent_at)

        def work() -> None:
            assert session.snapshot(timeout_s=CALL_S, max_age_s=ttl_s / 100).members["a"].value == RUNNING
            session.publish(RUNNING, ttl_s=ttl_s, timeout_s=CALL_S)

        assert cost(shared, work, "configmaps", "pods") == Counter({"LIST configmaps": 1, "PATCH pods": 1})


@pytest.mark.parametrize("kind", [CONFIG_MAPS, ENDPOINTS, LEASES], ids=lambda kind: kind.resource)
def test_leader_and_member_prove_each_others_pictures_by_what_they_have_heard(shared: Served, scope: str, kind: Kind) -> None:
    with opened(shared, kind, scope) as leader, opened(shared, kind, scope, "b") as calm:
        lock = take(leader, LONG_S)
        calm.publish(RUNNING, ttl_s=LONG_S, timeout_s=CALL_S)  # a watch under another ttl would be opened again
        watching(leader)
        watching(calm)

        def shown_at(session: Dcs) -> float:
            return session.snapshot(timeout_s=CALL_S, max_age_s=LONG_S).sent_at

        def work() -> None:
            renewed_at = 0.0
            for number in range(1, 4):
                text, began_at = RUNNING.replace("running", f"running {number}"), now()
                calm.publish(text, ttl_s=LONG_S, timeout_s=CALL_S)
                eventually(lambda: text in {one.value for one in leader.snapshot(timeout_s=CALL_S, max_age_s=LONG_S).members.values()})  # noqa: B023
                eventually(lambda: shown_at(leader) >= renewed_at)  # noqa: B023 - called at once
                answer = renew(leader, lock, LONG_S)
                assert isinstance(answer, Renewed)
                renewed_at = answer.sent_at
                eventually(lambda: shown_at(calm) >= began_at)  # noqa: B023 - called at once
                assert calm.snapshot(timeout_s=CALL_S, max_age_s=LONG_S).lock == lock

        assert cost(shared, work, kind.resource, "pods") == Counter({f"PATCH {kind.resource}": 3, "PATCH pods": 3})
