"""What a real API server shows: the field's objects, and comparisons with their answers."""

import json
import threading
from dataclasses import replace

import pytest

from hacore.errors import DcsUnavailableError
from hacore.interfaces import AcquireRequest, Dcs, Put, Refused, ReleaseRequest, Renewed, RenewRequest
from hacore.testing.conformance.store import CALL_S, eventually, look, now, renew, take, write, written
from hacore.testing.faults.proxy import Fault
from hacore.testing.kubernetes_api import Answer
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES, Change, ConflictError, Kind
from plugins.dcs_kubernetes.tests.served import POD_IP, Served
from plugins.dcs_kubernetes.tests.sessions import RUNNING, TTL_S, annotations, objects_of, opened


@pytest.mark.parametrize(("kind", "leader"), [(CONFIG_MAPS, "-leader"), (ENDPOINTS, "")], ids=["configmaps", "endpoints"])
def test_the_annotations_are_those_of_the_field(shared: Served, scope: str, kind: Kind, leader: str) -> None:
    with opened(shared, kind, scope, "node-1") as session:
        take(session, 30.0, Put(name="hacore", value='{"token":1}'), Put(name="status", value='{"optime":5,"slots":{"a":5}}'))
        written(session, Put(name="config", value='{"ttl":30}'), Put(name="initialize", value="7000000000000000000"))
        written(
            session,
            Put(name="failover", value='{"member":"node-2"}'),
            Put(name="sync", value='{"leader":"a","quorum":0,"sync_standby":null}'),
        )
        found = annotations(shared, kind, scope + leader)
        times = {found.pop("acquireTime"), found.pop("renewTime")}
        assert found == {"leader": "node-1", "ttl": "30", "transitions": "1", "optime": "5", "slots": '{"a":5}'}
        assert len(times) == 1
        assert shared.found(kind, scope + leader)["metadata"]["annotations"]["hacore"] == '{"token":1}'
        assert annotations(shared, kind, f"{scope}-config") == {"config": '{"ttl":30}', "initialize": "7000000000000000000"}
        assert annotations(shared, kind, f"{scope}-failover") == {"member": "node-2"}
        assert annotations(shared, kind, f"{scope}-sync") == {"leader": "a", "quorum": "0"}
        assert shared.found(kind, f"{scope}-sync")["metadata"]["labels"] == {"application": "hacore", "cluster-name": scope}


def test_with_endpoints_clients_are_led_to_the_leader_by_the_write_that_takes_the_lock(shared: Served, scope: str) -> None:
    with opened(shared, ENDPOINTS, scope) as session:
        lock = take(session, 30.0)
        (subset,) = shared.found(ENDPOINTS, scope)["subsets"]
        (address,) = subset["addresses"]
        assert (address["ip"], address["targetRef"]["name"]) == (POD_IP, "a")
        assert subset["ports"] == [{"port": 5432, "protocol": "TCP"}]
        shared.change(shared.path(ENDPOINTS, scope), subsets=[])
        assert isinstance(renew(session, lock, 30.0), Renewed)
        assert shared.found(ENDPOINTS, scope)["subsets"]
        session.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert "subsets" not in shared.found(ENDPOINTS, scope)
        service = shared.kubernetes.ask("GET", shared.kubernetes.path("Service", namespace="endpoints", name=f"{scope}-config"))
        assert service["spec"]["clusterIP"] == "None"


def test_with_a_lease_clients_are_led_to_the_leader_by_a_slice(shared: Served, scope: str) -> None:
    with opened(shared, LEASES, scope) as session, opened(shared, LEASES, scope, "b") as other:
        lock = take(session, 29.5, Put(name="hacore", value="1"))
        lease = shared.found(LEASES, scope)
        spec = lease["spec"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 30, 1)
        assert spec["acquireTime"] == spec["renewTime"]
        assert lease["metadata"]["annotations"]["hacore"] == "1"
        found = slice_of(shared, scope)
        assert [one["addresses"] for one in found["endpoints"]] == [[POD_IP]]
        assert found["metadata"]["labels"]["kubernetes.io/service-name"] == scope
        session.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        assert not slice_of(shared, scope).get("endpoints")
        take(other, 30.0)
        (endpoint,) = slice_of(shared, scope)["endpoints"]
        assert endpoint["targetRef"]["name"] == "b"


def slice_of(shared: Served, scope: str) -> Answer:
    path = shared.kubernetes.path("EndpointSlice", "discovery.k8s.io/v1", "leases", scope)
    return shared.kubernetes.ask("GET", path)


def labels_of(shared: Served, name: str) -> dict[str, str]:
    found = shared.pod(CONFIG_MAPS, name)["metadata"]["labels"]
    return {key: text for key, text in found.items() if key not in ("application", "cluster-name")}


def publish(session: Dcs, **record: object) -> None:
    session.publish(json.dumps(record), ttl_s=TTL_S, timeout_s=CALL_S)


def test_the_label_of_a_pod_follows_the_role_of_its_member(shared: Served, scope: str) -> None:
    settings = replace(
        shared.settings(CONFIG_MAPS),
        leader_label_value="chief",
        standby_leader_label_value="deputy",
        follower_label_value="crew",
        tmp_role_label="later",
        bootstrap_labels=(("making", "yes"),),
    )
    with opened(shared, CONFIG_MAPS, scope, settings=settings) as session:
        publish(session, state="creating replica", role="uninitialized")
        assert labels_of(shared, "a") == {"making": "yes"}
        publish(session, state="running", role="replica")
        assert labels_of(shared, "a") == {"role": "crew", "later": "replica"}
        lock = take(session, 30.0)
        publish(session, state="running", role="primary")
        assert labels_of(shared, "a") == {"role": "chief", "later": "primary"}
        publish(session, state="running", role="standby_leader")
        assert labels_of(shared, "a") == {"role": "deputy", "later": "primary"}
        session.release(ReleaseRequest(lock=lock), timeout_s=CALL_S)
        publish(session, state="stopped", role="primary")
        assert labels_of(shared, "a") == {}
        session.withdraw(timeout_s=CALL_S)
        assert "status" not in (shared.pod(CONFIG_MAPS, "a")["metadata"].get("annotations") or {})


def test_a_member_of_another_product_stands_as_long_as_its_pod(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        shared.admit(CONFIG_MAPS, scope, "theirs")
        path = shared.kubernetes.path("Pod", namespace="configmaps", name="theirs")
        shared.change(path, metadata={"annotations": {"status": RUNNING}})
        shared.admit(CONFIG_MAPS, scope, "moved")
        with opened(shared, CONFIG_MAPS, scope, "moved") as ours:
            ours.publish(RUNNING, ttl_s=1.0, timeout_s=CALL_S)
        shared.change(shared.kubernetes.path("Pod", namespace="configmaps", name="moved"), metadata={"annotations": {"status": "{}"}})
        assert set(look(session).members) == {"theirs", "moved"}
        until = now() + 2.0
        eventually(lambda: now() > until)
        assert set(look(session).members) == {"theirs", "moved"}
        shared.kubernetes.ask("DELETE", f"{path}?gracePeriodSeconds=0")
        shared.admitted.pop(("configmaps", "theirs"))
        assert set(look(session).members) == {"moved"}


def test_a_member_that_leads_counts_while_its_lock_does(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as leader, opened(shared, CONFIG_MAPS, scope, "b") as other:
        leader.publish(RUNNING, ttl_s=1.0, timeout_s=CALL_S)
        take(leader, 30.0)
        assert "a" in look(other).members
        until = now() + 1.5
        eventually(lambda: now() > until)
        assert "a" in look(other).members


@pytest.mark.parametrize("kind", [CONFIG_MAPS, ENDPOINTS, LEASES], ids=lambda kind: kind.resource)
def test_a_new_leader_stamps_every_object_so_that_a_late_write_of_an_earlier_one_fails(shared: Served, scope: str, kind: Kind) -> None:
    objects = objects_of(shared, kind, scope)
    with opened(shared, kind, scope) as first, opened(shared, kind, scope, "b") as second:
        lock = take(first, 30.0, Put(name="hacore", value="1"))
        written(first, Put(name="history", value="[]"), lock=lock)
        on_its_way = {home: objects.get(home, now() + CALL_S) for home in ("config", "failover", "sync")}
        second.acquire(AcquireRequest(ttl_s=30.0, replaces=lock), timeout_s=CALL_S)
        for found in on_its_way.values():
            with pytest.raises(ConflictError):
                objects.change(found, Change(annotations={"late": "1"}), now() + CALL_S)
        assert write(first, Put(name="history", value="[1]"), lock=lock) == Refused(holder="b")
        assert look(second).records["history"].value == "[]"


def test_a_renewal_goes_on_when_somebody_else_has_written_into_the_leader_s_object(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        lock = take(session, 30.0, Put(name="hacore", value="1"))
        path = shared.path(CONFIG_MAPS, f"{scope}-leader")
        for number in range(3):
            shared.change(path, metadata={"annotations": {"somebody": str(number)}})
            assert isinstance(renew(session, lock, 30.0, Put(name="hacore", value=str(number))), Renewed)
        assert look(session).records["hacore"].value == "2"


def test_an_object_that_somebody_deleted_is_a_lost_lock_and_is_made_again(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        lock = take(session, 30.0)
        for end in ("leader", "config"):
            shared.kubernetes.ask("DELETE", shared.path(CONFIG_MAPS, f"{scope}-{end}"))
        assert renew(session, lock, 30.0) == Refused(holder=None)
        again = take(session, 30.0, Put(name="hacore", value="1"), Put(name="config", value="{}", expected=0))
        assert again.instance != lock.instance
        assert look(session).records["config"].value == "{}"


def test_a_change_whose_answer_was_lost_is_known_by_its_word(shared: Served, scope: str) -> None:
    """The first server loses the answer, the second refuses the comparison: read again, and the word of the write is ours."""
    settings = shared.settings(CONFIG_MAPS, servers=shared.servers)
    with opened(shared, CONFIG_MAPS, scope, settings=settings) as session:
        lock = take(session, 30.0)
        for number in range(3):
            with shared.one_suffers(Fault(swallow_answers=True)):
                answer = session.renew(RenewRequest(lock=lock, ttl_s=30.0, puts=(Put(name="hacore", value=str(number)),)), timeout_s=4.0)
            assert isinstance(answer, Renewed)
            assert answer.snapshot.records["hacore"].value == str(number)


def test_writes_that_span_objects_are_compared_before_the_first(shared: Served, scope: str) -> None:
    with opened(shared, CONFIG_MAPS, scope) as session:
        (version,) = written(session, Put(name="config", value="1"))
        puts = (Put(name="failover", value="{}"), Put(name="config", value="2", expected=version - 1))
        assert isinstance(write(session, *puts), Refused)
        assert "failover" not in look(session).records


def test_a_cluster_does_not_take_the_objects_of_one_whose_name_is_longer(shared: Served, scope: str) -> None:
    with opened(shared, ENDPOINTS, f"{scope}-config", "b") as longer, opened(shared, ENDPOINTS, scope) as session:
        take(longer, 30.0)
        with pytest.raises(DcsUnavailableError, match="belongs to"):
            written(session, Put(name="config", value="1"))
        assert look(longer).lock is not None


def test_errors_of_a_server_whose_etcd_is_away_pass(alone: Served, scope: str) -> None:
    with opened(alone, CONFIG_MAPS, scope) as session:
        lock = take(session, 30.0)
        alone.kubernetes.etcd.stop()
        with pytest.raises(DcsUnavailableError):
            session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=1.0)
        back = threading.Thread(target=alone.kubernetes.etcd.start)
        back.start()
        answer = session.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=20.0)
        back.join()
        assert isinstance(answer, Renewed)
