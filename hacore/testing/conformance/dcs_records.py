# ruff: noqa: D102 - the name of a test is its documentation
"""The records: compared, written, read together; and the members', which end with their owners."""

import json
import threading
import time
from collections.abc import Callable

import pytest

from hacore.errors import ConfigError
from hacore.interfaces import Dcs, DcsCapabilities, Put, Refused, ReleaseRequest, Renewed, Written
from hacore.testing.conformance.store import (
    CALL_S,
    EXPIRY_SLACK_S,
    StoreKit,
    StoreUnderTest,
    eventually,
    look,
    now,
    renew,
    request_for,
    take,
    write,
    written,
)

VALUES = {
    "unicode": "Zürich → 東京 🐘",
    "empty": "",
    "line breaks and quotes": "a\nb\r\n\"c\" 'd' \\e\t",
    "zero": "a\0b",
    "JSON with what nobody knows": json.dumps({"ttl": 30, "unknown": {"deep": [1, 2.5, None, True]}}),
    "100 kB": "x" * 100_000,
}


class RecordConformance(StoreKit):
    """Each test is one promise of the records."""

    def test_an_empty_cluster_reads_as_empty(self, a: Dcs) -> None:
        seen = look(a)
        assert (seen.lock, dict(seen.records), dict(seen.members)) == (None, {}, {})

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
    def test_a_value_comes_back_byte_for_byte(self, a: Dcs, b: Dcs, value: str) -> None:
        written(a, Put(name="config", value=value))
        a.publish(value, ttl_s=10.0, timeout_s=CALL_S)
        assert look(b).records["config"].value == value
        assert look(b).members["a"].value == value

    def test_records_that_nobody_knows_are_kept_and_shown(self, a: Dcs, b: Dcs) -> None:
        written(a, Put(name="somebody's", value="1"), Put(name="optime/leader", value="2"))
        written(b, Put(name="config", value="3"))
        assert {name: record.value for name, record in look(a).records.items()} == {"somebody's": "1", "optime/leader": "2", "config": "3"}

    @pytest.mark.parametrize("ending", ["-2", "2", "~", "."])
    def test_clusters_do_not_see_each_other(self, a: Dcs, store: StoreUnderTest, cluster: str, ttl_s: float, ending: str) -> None:
        try:
            longer = store.open(cluster + ending, "other")
        except ConfigError:  # no name for a cluster here, so nobody can have such a one
            longer = store.open(f"{cluster}-other", "other")
        take(longer, ttl_s, Put(name="config", value="of the other"))
        longer.publish("member", ttl_s=ttl_s, timeout_s=CALL_S)
        seen = look(a)
        longer.close()
        assert (seen.lock, dict(seen.records), dict(seen.members)) == (None, {}, {})

    def test_a_record_is_created_once(self, a: Dcs, b: Dcs) -> None:
        assert isinstance(write(a, Put(name="initialize", value="", expected=0)), Written)
        assert isinstance(write(b, Put(name="initialize", value="other", expected=0)), Refused)
        assert look(a).records["initialize"].value == ""

    def test_a_write_that_expects_an_older_version_is_refused(self, a: Dcs, b: Dcs) -> None:
        (first,) = written(a, Put(name="config", value="1"))
        (second,) = written(b, Put(name="config", value="2", expected=first))
        assert second > first > 0
        assert isinstance(write(a, Put(name="config", value="3", expected=first)), Refused)
        assert (look(a).records["config"].value, look(a).records["config"].version) == ("2", second)

    def test_versions_told_are_versions_read(self, a: Dcs, b: Dcs) -> None:
        versions = written(a, Put(name="config", value="1"), Put(name="status", value="2"), Put(name="failover", value=None))
        seen = look(b)
        assert versions == (seen.records["config"].version, seen.records["status"].version, 0)

    def test_a_write_of_many_records_happens_as_a_whole_or_not_at_all(self, a: Dcs) -> None:
        written(a, Put(name="config", value="1"))
        assert isinstance(write(a, Put(name="status", value="new"), Put(name="config", value="2", expected=0)), Refused)
        assert {name: record.value for name, record in look(a).records.items()} == {"config": "1"}

    def test_a_deleted_record_counts_as_absent_and_its_versions_go_on_growing(self, a: Dcs) -> None:
        (first,) = written(a, Put(name="sync", value="1"))
        assert written(a, Put(name="sync", value=None, expected=first)) == (0,)
        assert "sync" not in look(a).records
        assert isinstance(write(a, Put(name="sync", value="2", expected=first)), Refused)
        (second,) = written(a, Put(name="sync", value="3", expected=0))
        assert second > first

    def test_a_write_under_the_lock_is_refused_after_its_loss(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        lock = take(a, ttl_s)
        written(a, Put(name="history", value="[]"), lock=lock)
        a.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert write(a, Put(name="history", value="[1]"), lock=lock) == Refused(holder=None)
        take(b, ttl_s)
        assert write(a, Put(name="history", value="[2]"), lock=lock) == Refused(holder="b")
        assert look(a).records["history"].value == "[]"

    def test_a_snapshot_shows_one_moment(self, a: Dcs, b: Dcs, together: tuple[str, ...]) -> None:
        ended = threading.Event()
        written(a, *(Put(name=name, value="0") for name in together))  # so that every picture shows something

        def write_on() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                written(a, *(Put(name=name, value=str(number)) for name in together))

        writer = threading.Thread(target=write_on)
        writer.start()
        try:
            pictures = [look(b) for _ in range(100)]
        finally:
            ended.set()
            writer.join()
        assert all(len({record.value for record in picture.records.values()}) <= 1 for picture in pictures)
        revisions = [picture.revision or 0 for picture in pictures]
        assert revisions == sorted(revisions)
        assert len({frozenset(picture.records) for picture in pictures}) == 1

    def test_a_snapshot_shows_every_write_that_was_answered_before(self, capabilities: DcsCapabilities, a: Dcs, b: Dcs) -> None:
        revisions = []
        for number in range(30):
            (version,) = written(a, Put(name="config", value=str(number)))
            seen = look(b)
            assert (seen.records["config"].value, seen.records["config"].version) == (str(number), version)
            revisions.append(seen.revision)
        known = {one for one in revisions if one is not None}  # each write makes another
        assert (len(known), sorted(known)) == ((30, revisions) if capabilities.snapshot_revision else (0, []))

    def test_a_version_keeps_the_instant_of_its_first_receipt(self, a: Dcs, b: Dcs) -> None:
        written(a, Put(name="hacore", value="1"))
        before = now()
        first = look(b).records["hacore"]
        assert before <= first.received_at <= now()
        assert look(b).records["hacore"] == first
        between = now()
        written(a, Put(name="hacore", value="2"))
        assert look(b).records["hacore"].received_at >= between

    def test_a_member_record_ends_with_its_owner(self, open_dcs: Callable[[str], Dcs], b: Dcs, ttl_s: float) -> None:
        owner = open_dcs("a")
        published_at = now()
        owner.publish('{"state": "running"}', ttl_s=ttl_s, timeout_s=CALL_S)
        assert look(b).members["a"].value == '{"state": "running"}'
        owner.close()
        eventually(lambda: "a" not in look(b).members, within_s=ttl_s + EXPIRY_SLACK_S)
        assert now() - published_at >= ttl_s * 0.8

    def test_publishing_keeps_a_member_record_without_writing_it_again(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        a.publish("same", ttl_s=ttl_s, timeout_s=CALL_S)
        version = look(b).members["a"].version
        until = now() + 2 * ttl_s
        while now() < until:
            a.publish("same", ttl_s=ttl_s, timeout_s=CALL_S)
            assert look(b).members["a"].version == version
            time.sleep(ttl_s / 4)
        a.publish("other", ttl_s=ttl_s, timeout_s=CALL_S)
        assert look(b).members["a"].value == "other"

    def test_a_renewal_keeps_the_member_record_too(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        a.publish("member", ttl_s=ttl_s, timeout_s=CALL_S)
        lock = take(a, ttl_s)
        until = now() + 2 * ttl_s
        while now() < until:
            assert isinstance(renew(a, lock, ttl_s), Renewed)
            assert look(b).members["a"].value == "member"
            time.sleep(ttl_s / 4)

    def test_a_change_of_ttl_does_not_end_the_member_record(self, a: Dcs, b: Dcs, ttl_s: float) -> None:
        a.publish("member", ttl_s=ttl_s, timeout_s=CALL_S)
        lock = take(a, ttl_s)
        renewed = renew(a, lock, 3 * ttl_s)
        assert isinstance(renewed, Renewed)
        while now() < renewed.sent_at + 2 * ttl_s:
            assert "a" in look(b).members
            time.sleep(0.1)

    def test_a_record_left_by_a_predecessor_is_kept_by_its_successor(self, open_dcs: Callable[[str], Dcs], b: Dcs, ttl_s: float) -> None:
        open_dcs("a").publish("same", ttl_s=ttl_s, timeout_s=CALL_S)
        again = open_dcs("a")
        look(again)
        until = now() + 2 * ttl_s
        while now() < until:
            again.publish("same", ttl_s=ttl_s, timeout_s=CALL_S)
            assert "a" in look(b).members
            time.sleep(ttl_s / 4)

    def test_a_member_record_that_somebody_deleted_is_written_again(self, store: StoreUnderTest, cluster: str, a: Dcs) -> None:
        a.publish("member", ttl_s=10.0, timeout_s=CALL_S)
        store.faults.remove_member(cluster, "a")
        assert "a" not in look(a).members
        a.publish("member", ttl_s=10.0, timeout_s=CALL_S)
        assert look(a).members["a"].value == "member"

    def test_a_withdrawn_member_is_gone_at_once_and_can_come_back(self, a: Dcs, b: Dcs) -> None:
        a.publish("member", ttl_s=10.0, timeout_s=CALL_S)
        a.withdraw(timeout_s=CALL_S)
        assert "a" not in look(b).members
        a.withdraw(timeout_s=CALL_S)
        a.publish("member", ttl_s=10.0, timeout_s=CALL_S)
        assert "a" in look(b).members

    def test_an_observer_reads_and_writes_and_leaves_nothing_behind(self, store: StoreUnderTest, cluster: str, a: Dcs) -> None:
        observer = store.plugin(store.settings).hacore_open_dcs(request_for(cluster, "somebody", observer=True))
        written(observer, Put(name="failover", value='{"member": "a"}'))
        seen = look(observer)
        observer.close()
        assert seen.records["failover"].value == '{"member": "a"}'
        assert (dict(look(a).members), look(a).lock) == ({}, None)
