# ruff: noqa: D102 - the name of a test is its documentation
"""The lock: who gets it, how long it lasts, how it is lost and given back."""

import threading
import time
from collections.abc import Callable

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Acquired, AcquireRequest, Dcs, Put, Refused, ReleaseRequest, Renewed, Written
from hacore.model.lease import Lock
from hacore.testing.conformance.store import CALL_S, SLACK_S, StoreKit, eventually, look, now, renew, take, taken, write, written


class LockConformance(StoreKit):
    """Each test is one promise of the lock."""

    def test_a_free_lock_is_acquired_and_seen_by_all(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        assert lock.holder == "a"
        assert look(a).lock == look(b).lock == lock

    def test_a_held_lock_is_refused_and_its_holder_is_named(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        take(a, ttl_s)
        assert b.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=CALL_S) == Refused(holder="a")

    def test_a_holder_that_asks_again_is_refused_and_its_lock_stands(self, a: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        assert a.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=CALL_S) == Refused(holder="a")
        assert look(a).lock == lock

    def test_renewals_keep_the_lock_beyond_its_first_time(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        until = now() + 2 * ttl_s
        while now() < until:
            assert isinstance(renew(a, lock, ttl_s), Renewed)
            assert look(b).lock == lock
            time.sleep(ttl_s / 4)

    def test_a_lock_that_is_not_renewed_expires_but_never_early(self, a: Dcs, b: Dcs, ttl_s: float, lingers_s: float) -> None:
        acquired = taken(a.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=CALL_S))
        eventually(lambda: look(b).lock is None, within_s=ttl_s + lingers_s)
        assert now() >= acquired.sent_at + ttl_s

    def test_a_lock_that_is_not_renewed_expires_though_its_holder_goes_on_as_a_member(
        self, a: Dcs, b: Dcs, ttl_s: float, lingers_s: float
    ) -> None:  # fmt: skip
        a.publish("member", ttl_s=ttl_s, timeout_s=CALL_S)
        take(a, ttl_s)

        def has_expired() -> bool:
            a.snapshot(timeout_s=CALL_S, max_age_s=ttl_s / 4)
            a.publish("member", ttl_s=ttl_s, timeout_s=CALL_S)
            seen = look(b)
            assert seen.members["a"].value == "member"
            return seen.lock is None

        eventually(has_expired, within_s=1.5 * ttl_s + lingers_s)

    def test_an_expired_lock_can_not_be_renewed(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        eventually(lambda: look(b).lock is None)
        assert renew(a, lock, ttl_s) == Refused(holder=None)

    def test_an_expired_lock_is_free_for_another(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        first = take(a, ttl_s)
        eventually(lambda: look(b).lock is None)
        assert take(b, ttl_s).instance != first.instance

    def test_a_released_lock_is_free_at_once(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s, Put(name="hacore", value="1"))
        answer = a.release(ReleaseRequest(lock=lock, puts=(Put(name="hacore", value="clean"),)), timeout_s=CALL_S)
        assert isinstance(answer, Written)
        seen = look(b)
        assert seen.lock is None
        assert (seen.records["hacore"].value, seen.records["hacore"].version) == ("clean", answer.versions[0])
        assert take(b, ttl_s).holder == "b"

    def test_each_holding_has_an_instance_of_its_own_also_of_the_same_holder(self, a: Dcs, ttl_s: float) -> None:
        instances = set()
        for _ in range(3):
            lock = take(a, ttl_s)
            instances.add(lock.instance)
            a.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert len(instances) == 3

    def test_the_lock_and_its_records_change_together(self, a: Dcs, b: Dcs, with_the_lock: tuple[str, ...], ttl_s: float) -> None:
        ended = threading.Event()
        written(a, *(Put(name=name, value="free") for name in with_the_lock))

        def go_on() -> None:
            while not ended.is_set():
                lock = take(a, ttl_s, *(Put(name=name, value="held") for name in with_the_lock))
                a.release(ReleaseRequest(lock=lock, puts=tuple(Put(name=name, value="free") for name in with_the_lock)), timeout_s=CALL_S)

        holder = threading.Thread(target=go_on)
        holder.start()
        seen: set[tuple[bool, frozenset[str]]] = set()

        def has_changed() -> bool:
            pictures = [look(b) for _ in range(100)]
            seen.update((one.lock is not None, frozenset(one.records[name].value for name in with_the_lock)) for one in pictures)
            return len(seen) > 1

        try:
            eventually(has_changed)
        finally:
            ended.set()
            holder.join()
        assert seen == {(True, frozenset({"held"})), (False, frozenset({"free"}))}

    def test_an_earlier_holding_can_neither_renew_nor_release_nor_write(self, a: Dcs, ttl_s: float) -> None:
        old = take(a, ttl_s)
        a.release(ReleaseRequest(lock=old), timeout_s=CALL_S)
        lock = take(a, ttl_s)
        assert renew(a, old, ttl_s) == Refused(holder="a")
        assert a.release(ReleaseRequest(lock=old), timeout_s=CALL_S) == Refused(holder="a")
        assert write(a, Put(name="status", value="{}"), lock=old) == Refused(holder="a")
        seen = look(a)
        assert seen.lock == lock
        assert "status" not in seen.records

    def test_the_instance_alone_does_not_make_a_holder(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        assert isinstance(renew(b, Lock(holder="b", instance=lock.instance), ttl_s), Refused)
        assert look(a).lock == lock

    def test_an_instance_from_another_store_is_refused(self, a: Dcs, ttl_s: float) -> None:
        take(a, ttl_s)
        assert isinstance(renew(a, Lock(holder="a", instance="9f0c6d1e-not-from-here"), ttl_s), Refused)

    def test_of_two_challengers_at_once_one_wins(self, open_dcs: Callable[[str], Dcs], ttl_s: float) -> None:
        sessions = [open_dcs(name) for name in ("a", "b", "c")]
        version = 0
        for turn in range(5):
            answers = race(sessions, AcquireRequest(ttl_s=ttl_s, puts=(Put(name="hacore", value=str(turn), expected=version),)))
            won = [answer for answer in answers if isinstance(answer, Acquired)]
            assert len(won) == 1, answers
            holder = next(session for session, answer in zip(sessions, answers, strict=True) if isinstance(answer, Acquired))
            assert look(holder).lock == won[0].lock
            holder.release(ReleaseRequest(lock=won[0].lock), timeout_s=CALL_S)
            version = look(holder).records["hacore"].version

    def test_acquiring_writes_its_records_with_the_lock(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        (version,) = written(b, Put(name="hacore", value="1"))
        take(a, ttl_s, Put(name="hacore", value="2", expected=version), Put(name="status", value="{}", expected=0))
        seen = look(b)
        assert {name: record.value for name, record in seen.records.items()} == {"hacore": "2", "status": "{}"}
        assert seen.records["hacore"].version > version

    def test_acquiring_is_refused_when_the_own_record_has_moved(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        (version,) = written(b, Put(name="hacore", value="1"))
        written(b, Put(name="hacore", value="2"))
        request = AcquireRequest(ttl_s=ttl_s, puts=(Put(name="hacore", value="3", expected=version), Put(name="status", value="{}")))
        assert a.acquire(request, timeout_s=CALL_S) == Refused(holder=None)
        seen = look(a)
        assert seen.lock is None
        assert {name: record.value for name, record in seen.records.items()} == {"hacore": "2"}

    def test_a_held_lock_can_be_replaced_by_who_names_its_instance(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s, Put(name="hacore", value="1"))
        version = look(b).records["hacore"].version
        puts = (Put(name="hacore", value="2", expected=version),)
        acquired = taken(b.acquire(AcquireRequest(ttl_s=ttl_s, puts=puts, replaces=lock), timeout_s=CALL_S))
        assert acquired.lock.instance != lock.instance
        assert renew(a, lock, ttl_s) == Refused(holder="b")
        assert look(a).lock == acquired.lock

    def test_a_held_lock_is_not_replaced_once_its_record_has_moved(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s, Put(name="hacore", value="1"))
        version = look(b).records["hacore"].version
        assert isinstance(renew(a, lock, ttl_s, Put(name="hacore", value="2", expected=version)), Renewed)
        puts = (Put(name="hacore", value="3", expected=version),)
        assert b.acquire(AcquireRequest(ttl_s=ttl_s, puts=puts, replaces=lock), timeout_s=CALL_S) == Refused(holder="a")
        assert look(a).lock == lock

    def test_a_lock_that_could_be_replaced_but_is_gone_is_simply_taken(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s, Put(name="hacore", value="1"))
        a.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert taken(b.acquire(AcquireRequest(ttl_s=ttl_s, replaces=lock), timeout_s=CALL_S)).lock.holder == "b"
        third = AcquireRequest(ttl_s=ttl_s, replaces=lock)
        assert a.acquire(third, timeout_s=CALL_S) == Refused(holder="b")

    def test_a_renewal_shows_the_store_with_itself_in_it(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        written(b, Put(name="config", value='{"ttl": 30}'))
        lock = take(a, ttl_s)
        answer = renew(a, lock, ttl_s, Put(name="hacore", value="7"))
        assert isinstance(answer, Renewed)
        assert answer.snapshot.lock == lock
        assert {name: record.value for name, record in answer.snapshot.records.items()} == {"config": '{"ttl": 30}', "hacore": "7"}
        assert answer.snapshot.records == look(a).records

    def test_a_renewal_whose_record_has_moved_is_refused_and_writes_nothing(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s, Put(name="hacore", value="1"))
        (version,) = written(b, Put(name="hacore", value="2"))
        assert isinstance(
            renew(a, lock, ttl_s, Put(name="hacore", value="3", expected=version - 1), Put(name="status", value="{}")), Refused
        )
        assert {name: record.value for name, record in look(a).records.items()} == {"hacore": "2"}

    def test_time_counts_from_before_the_request(self, a: Dcs, ttl_s: float) -> None:
        before = now()
        acquired = taken(a.acquire(AcquireRequest(ttl_s=ttl_s), timeout_s=CALL_S))
        between = now()
        renewed = renew(a, acquired.lock, ttl_s)
        assert isinstance(renewed, Renewed)
        assert before <= acquired.sent_at < between <= renewed.sent_at < now()
        assert between <= renewed.snapshot.sent_at

    def test_a_restarted_agent_goes_on_with_the_lock_of_its_predecessor(self, open_dcs: Callable[[str], Dcs], b: Dcs, ttl_s: float) -> None:
        lock = take(open_dcs("a"), ttl_s)
        again = open_dcs("a")
        assert look(again).lock == lock
        until = now() + 2 * ttl_s
        while now() < until:
            assert isinstance(renew(again, lock, ttl_s), Renewed)
            assert look(b).lock == lock
            time.sleep(ttl_s / 4)

    def test_a_longer_ttl_holds_from_the_renewal_on(self, a: Dcs, b: Dcs, ttl_s: float, lingers_s: float) -> None:
        lock = take(a, ttl_s)
        renewed = renew(a, lock, 2 * ttl_s)
        assert isinstance(renewed, Renewed)
        while now() < renewed.sent_at + 2 * ttl_s - SLACK_S:
            assert look(b).lock == lock
            time.sleep(0.1)
        eventually(lambda: look(b).lock is None, within_s=SLACK_S + lingers_s)

    def test_a_shorter_ttl_holds_from_the_renewal_on(self, a: Dcs, b: Dcs, ttl_s: float, lingers_s: float) -> None:
        lock = take(a, 30.0)
        assert isinstance(renew(a, lock, ttl_s), Renewed)
        eventually(lambda: look(b).lock is None, within_s=ttl_s + lingers_s)

    def test_closing_the_session_leaves_the_lock_until_it_expires(self, open_dcs: Callable[[str], Dcs], b: Dcs, ttl_s: float) -> None:
        holder = open_dcs("a")
        lock = take(holder, ttl_s)
        holder.close()
        assert look(b).lock == lock
        eventually(lambda: look(b).lock is None)


def race(sessions: list[Dcs], request: AcquireRequest) -> list[object]:
    """Let all sessions acquire at one moment; their answers in the order of the sessions."""
    barrier = threading.Barrier(len(sessions))
    answers: list[object] = [None] * len(sessions)

    def run(index: int) -> None:
        barrier.wait()
        try:
            answers[index] = sessions[index].acquire(request, timeout_s=CALL_S)
        except DcsUnavailableError as error:
            answers[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
