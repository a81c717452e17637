"""Standbys: made, followed, promoted, rewound."""

import os
import signal
from dataclasses import replace

from hacore.config.postgres_settings import PostgresSettings
from hacore.interfaces import Job
from hacore.model.node import DirectoryState, NodeState, Role, ServerState
from hacore.model.slots import slot_name
from hacore.model.steps import (
    CreateReplica,
    ReconcileSlots,
    RecoverFromCrash,
    RestartServer,
    Rewind,
    StartServer,
    StopMode,
    StopServer,
    TakeCheckpoint,
)
from hacore.postgres.surroundings import ReplicaSite, RestoreSettings
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import Node

FAST = StopServer(mode=StopMode.FAST, reason="test")
IMMEDIATE = StopServer(mode=StopMode.IMMEDIATE, reason="test")


def is_streaming(state: NodeState) -> bool:
    return state.replication_state == "streaming"


def pair(make_node: MakeNode) -> tuple[Node, Node]:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    a.sql("CREATE TABLE public.t (a int)")
    a.postgres.reconcile_slots(ReconcileSlots(wanted=(slot_name("b"),), droppable=()))
    b.follow_from_scratch(a, slot="b")
    b.until(is_streaming)
    return a, b


def write(node: Node, value: int) -> None:
    node.sql("INSERT INTO public.t VALUES (%s)", (value,))


def values(node: Node) -> set[int]:
    return {row[0] for row in node.sql("SELECT a FROM public.t")}


def caught_up(a: Node, b: Node) -> None:
    position = a.read().flushed_lsn
    assert position is not None
    b.until(lambda state: state.replayed_lsn is not None and state.replayed_lsn >= position)


def test_a_base_backup_becomes_a_standby_that_streams_through_its_slot(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    write(a, 1)
    caught_up(a, b)
    state = b.read()
    assert (state.role, state.timeline, state.upstream) == (Role.STANDBY, 1, a.as_upstream("b"))
    assert state.upstream_reachable
    assert state.system_id == a.read().system_id
    assert values(b) == {1}
    (slot,) = a.read().slots
    assert (slot.name, slot.active, slot.is_physical) == ("b", True, True)
    (sender,) = a.read().senders
    assert (sender.application_name, sender.usename, sender.state) == ("b", "replicator", "streaming")


def test_a_promoted_standby_writes_on_the_claimed_timeline_and_skips_those_of_others(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    write(a, 1)
    caught_up(a, b)
    a.do(IMMEDIATE)
    b.lead()
    outcome = b.promote(4)
    assert outcome.is_done, outcome.error
    state = b.read()
    assert (state.role, state.timeline) == (Role.PRIMARY, 4)
    assert state.history is not None
    assert [switch.timeline for switch in state.history.switches] == [1]
    write(b, 2)
    assert values(b) == {1, 2}
    assert not b.instance.layout.promote_file.exists()


def test_a_standby_is_not_promoted_where_the_fence_is_not_armed(make_node: MakeNode) -> None:
    _, b = pair(make_node)
    b.token = 7
    assert not b.promote(2).is_done
    assert b.read().role is not Role.PRIMARY


def test_a_diverged_former_primary_is_recovered_rewound_and_streams(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    write(a, 1)
    caught_up(a, b)
    b.do(IMMEDIATE)
    b.start_standby(None)
    write(a, 666)  # nobody but the old primary has it
    a.do(IMMEDIATE)
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    write(b, 2)

    assert a.read().directory.control is not None
    a.do(RecoverFromCrash())
    state = a.until(lambda found: found.directory.wal_end is not None)
    history = b.read().history
    assert history is not None
    assert state.directory.wal_end is not None
    assert not history.has_prefix(1, state.directory.wal_end)
    a.token = None
    a.do(Rewind(leader="b", wipe_on_failure=False))
    assert a.read().directory.mark is None
    b.postgres.reconcile_slots(ReconcileSlots(wanted=("a",), droppable=()))
    a.start_standby(b, slot="a")
    a.until(is_streaming)
    caught_up(b, a)
    assert values(a) == {1, 2}
    assert a.read().timeline == 2


def test_a_former_primary_whose_wal_the_new_one_has_needs_no_rewind(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    write(a, 1)
    a.do(StopServer(mode=StopMode.FAST, reason="switchover", checkpoint_first=True))
    (shutdown,) = a.shut_down
    b.until(lambda state: state.received_lsn is not None and state.received_lsn > shutdown)
    b.lead()
    assert b.promote(2).is_done
    b.sql("CHECKPOINT")
    before = (a.data_dir / "global" / "pg_control").read_bytes()
    a.do(Rewind(leader="b", wipe_on_failure=False))
    assert (a.data_dir / "global" / "pg_control").read_bytes() == before
    a.start_standby(b)
    a.until(is_streaming)
    assert a.read().timeline == 2


def test_a_standby_follows_another_upstream_without_a_restart(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    c = make_node("c")
    c.follow_from_scratch(a)
    c.until(is_streaming)
    pid = c.read().pid
    c.postgres.follow(b.as_upstream())
    b.until(lambda found: [(sender.application_name, sender.state) for sender in found.senders] == [("c", "streaming")])
    state = c.until(lambda found: found.upstream == b.as_upstream() and bool(found.upstream_reachable))
    assert state.pid == pid


def without_wal(site: ReplicaSite, job: Job) -> RestoreSettings:
    """A copy that is not consistent before somebody has sent it WAL."""
    assert site.source is not None
    site.clean()
    options = ("--no-sync", "-X", "none", "--checkpoint=fast", f"--pgdata={site.data_dir}", f"--dbname={site.source.conninfo}")
    assert job.run([site.programs["pg_basebackup"], *options], environment=site.environment).exit_code == 0
    return ()


def test_a_standby_that_waits_for_wal_to_be_consistent_takes_another_upstream(make_node: MakeNode) -> None:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    b.create_replica = without_wal
    b.do(CreateReplica(leader="a", source="a", system_id=a.read().system_id))
    gone = replace(a.as_upstream(), member="gone", port=1)
    b.change(pg_ctl_timeout_s=1.0)
    assert not b.run(StartServer(role=Role.STANDBY, upstream=gone)).is_done
    state = b.read()
    assert (state.server, state.role, state.upstream) == (ServerState.STARTING, None, gone)
    b.postgres.follow(a.as_upstream())
    assert b.until(is_streaming).pid == state.pid


def test_somebody_elses_slot_and_one_in_use_are_never_dropped(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    a.sql("SELECT pg_create_physical_replication_slot('barman', true)")
    a.postgres.reconcile_slots(ReconcileSlots(wanted=("c",), droppable=("b",)))
    assert [slot.name for slot in a.read().slots] == ["b", "barman", "c"]
    b.do(FAST)
    a.until(lambda state: not any(slot.active for slot in state.slots))
    a.postgres.reconcile_slots(ReconcileSlots(wanted=("c",), droppable=("b",)))
    assert [slot.name for slot in a.read().slots] == ["barman", "c"]


def test_a_directory_of_another_cluster_is_neither_wiped_nor_rewound(make_node: MakeNode) -> None:
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    b.create_cluster()
    b.do(FAST)
    outcome = b.run(CreateReplica(leader="a", source="a", system_id=a.read().system_id))
    assert not outcome.is_done
    outcome = b.run(Rewind(leader="a", wipe_on_failure=True))
    assert not outcome.is_done
    state = b.read()
    assert (state.directory.state, state.directory.mark) == (DirectoryState.INITIALIZED, None)
    b.do(StartServer(role=Role.PRIMARY))


def test_a_standby_takes_the_limits_of_its_primary_and_says_what_waits(make_node: MakeNode) -> None:
    def lower(settings: PostgresSettings) -> PostgresSettings:
        return replace(settings, controlled_parameters={**settings.controlled_parameters, "max_connections": "30"})

    a, b = make_node("a"), make_node("b", change=lower)
    a.create_cluster()
    b.follow_from_scratch(a)
    state = b.until(lambda found: bool(found.pending_restart))
    assert state.server is ServerState.RUNNING
    assert state.pending_restart == (("max_connections", "50", "30"),)


def test_replay_that_waits_for_a_larger_setting_goes_on_after_a_restart(make_node: MakeNode) -> None:
    a, b = pair(make_node)
    for node in (a, b):
        node.change(controlled_parameters={**node.settings.controlled_parameters, "max_connections": "60"})
        node.postgres.reload()
    a.do(RestartServer(role=Role.PRIMARY))
    state = b.until(lambda found: found.replay_paused)
    assert state.replay_blocked
    b.do(RestartServer(role=Role.STANDBY))
    write(a, 1)
    caught_up(a, b)
    state = b.read()
    assert (state.replay_paused, state.pending_restart, state.upstream) == (False, (), a.as_upstream("b"))


def test_replay_that_a_person_has_paused_is_left_alone(make_node: MakeNode) -> None:
    _, b = pair(make_node)
    b.sql("SELECT pg_wal_replay_pause()")
    state = b.until(lambda found: found.replay_paused)
    assert not state.replay_blocked


def test_a_checkpoint_that_takes_long_can_be_cancelled(make_node: MakeNode) -> None:
    a, _ = pair(make_node)
    (pid,) = a.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0]
    os.kill(pid, signal.SIGSTOP)
    a.submit(TakeCheckpoint())
    a.worker.cancel("test")
    assert not a.wait(TakeCheckpoint(), timeout_s=5.0).is_done
    os.kill(pid, signal.SIGCONT)
