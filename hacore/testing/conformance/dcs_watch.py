# ruff: noqa: D102 - the name of a test is its documentation
"""The watch: what wakes the loop, how soon, and that nothing is missed when it was interrupted."""

import time

from hacore.interfaces import Dcs, Put, ReleaseRequest, Renewed
from hacore.testing.conformance.store import (
    CALL_S,
    StoreKit,
    StoreUnderTest,
    Wakes,
    look,
    now,
    renew,
    take,
    written,
)

AT_ONCE_S = 2.0  # measured: one to three milliseconds; the rest is a busy machine
NEVER_S = 0.5


class WatchConformance(StoreKit):
    """Each test is one promise of the watch; ``wakes`` belongs to ``b``."""

    def test_the_lock_wakes_when_it_is_taken_and_when_it_is_given_back(self, a: Dcs, wakes: Wakes, ttl_s: float) -> None:
        before = wakes.count
        lock = take(a, ttl_s)
        assert wakes.within(AT_ONCE_S, after=before)
        before = wakes.quiet()
        a.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert wakes.within(AT_ONCE_S, after=before)

    def test_a_lock_that_somebody_deletes_wakes(self, store: StoreUnderTest, cluster: str, a: Dcs, wakes: Wakes) -> None:
        take(a, 30.0)
        before = wakes.quiet()
        store.faults.remove_lock(cluster)
        assert wakes.within(AT_ONCE_S, after=before)

    def test_a_lock_that_expires_wakes(self, a: Dcs, wakes: Wakes, ttl_s: float, lingers_s: float) -> None:
        take(a, ttl_s)
        before = wakes.quiet()
        assert wakes.within(ttl_s + lingers_s, after=before)

    def test_configuration_and_requests_of_people_wake(self, a: Dcs, wakes: Wakes) -> None:
        for name in ("config", "failover"):
            for value in ("1", "2", None):
                before = wakes.quiet()
                written(a, Put(name=name, value=value))
                assert wakes.within(AT_ONCE_S, after=before), (name, value)

    def test_the_leader_s_position_wakes_others_but_not_the_leader(self, a: Dcs, b: Dcs, wakes: Wakes) -> None:
        before = wakes.quiet()
        written(a, Put(name="status", value="1"))
        assert wakes.within(AT_ONCE_S, after=before)
        lock = take(b, 30.0)
        assert isinstance(renew(b, lock, 30.0), Renewed)
        before = wakes.quiet()
        written(b, Put(name="status", value="2"), lock=lock)
        assert not wakes.within(NEVER_S, after=before)

    def test_renewals_and_member_records_wake_nobody(self, a: Dcs, wakes: Wakes) -> None:
        lock = take(a, 30.0)
        before = wakes.quiet()
        a.publish("member", ttl_s=30.0, timeout_s=CALL_S)
        assert isinstance(renew(a, lock, 30.0, Put(name="hacore", value="1")), Renewed)
        assert not wakes.within(NEVER_S, after=before)

    def test_the_watch_learns_of_a_version_before_the_next_snapshot_does(self, a: Dcs, b: Dcs, wakes: Wakes) -> None:
        before = wakes.quiet()
        written(a, Put(name="hacore", value="1"), Put(name="config", value="1"))
        assert wakes.within(AT_ONCE_S, after=before)
        time.sleep(0.3)
        asked_at = now()
        assert look(b).records["hacore"].received_at < asked_at

    def test_a_closed_session_wakes_nobody(self, a: Dcs, b: Dcs, wakes: Wakes, ttl_s: float) -> None:
        b.close()
        before = wakes.quiet()
        take(a, ttl_s)
        assert not wakes.within(NEVER_S, after=before)
