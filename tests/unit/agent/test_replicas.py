"""What a chain of replica methods is told of the leader."""

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from hacore.agent.desk import Desk
from hacore.agent.replicas import ReplicaMaker
from hacore.agent.settings import SettingsSource
from hacore.hookspecs import ReplicaRequest, hookimpl
from hacore.interfaces import Created, Job, Offer, Source
from hacore.model.cluster import HistoryLine
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.plugins.registry import Plugin, Registry
from hacore.postgres.surroundings import ReplicaSite
from tests.unit.agent.test_desk import desk, turn
from tests.unit.decide import worlds as w
from tests.unit.plugins.making import CONTEXT, NoJob, plugin
from tests.unit.postgres.samples import settings

RESTORED = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(1000)),))


class FromBackup:
    """Offers a backup that was made on timeline 1 at ``start``."""

    def __init__(self, start: int) -> None:
        self.start = Lsn(start)
        self.told: list[TimelineHistory | None] = []

    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer:
        self.told.append(request.leader_history)
        return Offer(timeline=1, start_lsn=self.start, wal_bytes=0)

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created:
        return Created(restore_settings=(("made by", "backup"),))


class FromLeader:
    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created:
        return Created(restore_settings=(("made by", "copy"),))


def made(backup: FromBackup, seen: Desk) -> str:
    plugins: dict[str, Plugin] = {"tool": plugin(backup, "tool", "replica"), "basebackup": plugin(FromLeader(), "basebackup", "replica")}

    class Made(Registry):
        def get(self, kind: str, name: str) -> Plugin | None:
            assert kind == "replica"
            return plugins[name]

    configured = replace(settings("/nowhere"), create_replica_methods=("tool", "basebackup"), methods={})
    maker = ReplicaMaker(
        registry=Made(), settings=cast("SettingsSource", SimpleNamespace(postgres=configured)), desk=seen, context=lambda: CONTEXT
    )
    site = ReplicaSite(
        data_dir="/nowhere",
        source=Source(member="b", conninfo="host=b"),
        system_id=w.SYSTEM_ID,
        major_version=17,
        programs={},
        environment={},
        space_bytes=None,
        directory_state="empty",
        clean=lambda: None,
    )
    ((_, by),) = maker.create(site, cast("Job", NoJob()))
    return by


def test_a_backup_of_a_time_that_was_given_up_is_passed_over() -> None:
    seen = desk()
    lines = (HistoryLine(timeline=1, lsn=Lsn(1000)),)
    seen.turned(turn(world=w.world(cluster=w.cluster(history=lines, own=w.own(timeline=2, parent=(1, 1000))))))
    before, after = FromBackup(900), FromBackup(1100)
    assert made(before, seen) == "backup"
    assert made(after, seen) == "copy"
    assert before.told == after.told == [RESTORED]


def test_the_history_of_a_leader_that_was_promoted_just_now_is_waited_for() -> None:
    seen = desk()
    own = w.own(timeline=2, parent=(1, 1000))
    seen.turned(turn(world=w.world(cluster=w.cluster(history=(), own=own))))
    written = turn(world=w.world(cluster=w.cluster(history=(HistoryLine(timeline=1, lsn=Lsn(1000)),), own=own)))
    later = threading.Timer(0.2, seen.turned, (written,))
    later.start()
    assert made(FromBackup(1100), seen) == "copy"
    later.join()
