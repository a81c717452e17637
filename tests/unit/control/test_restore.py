import json
from dataclasses import replace
from typing import Any

import pytest

from hacore.control.context import Context, RefusedError
from hacore.control.restore import cancel_restore, restore, show_restore
from hacore.errors import PluginUnavailableError
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.backups import BackupRecord, BackupTask, BackupWork, Doubt
from hacore.model.cluster import RestoreState
from hacore.model.commands import CancelRestoreCommand, RestoreCommand
from hacore.model.lsn import Lsn
from hacore.model.node import Role
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.records.own import own_json, read_own
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup
from tests.unit.control.samples import NODE, ScriptedLoop, scene
from tests.unit.control.test_backups import LEASE, ScriptedBackups
from tests.unit.decide.worlds import own
from tests.unit.records.test_restore import RESTORE

OLD, NEW = backup("old", 3, size_bytes=1 << 20), backup("new", 1, size_bytes=1 << 20)
TARGET = "2026-05-18T12:00:00+00:00"  # two days ago: between the two


def stage(backups: ScriptedBackups | None = None, *, leads: bool = True, free: int | None = 1 << 30) -> tuple[Context, ScriptedLoop]:
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(1 << 60)),))
    directory = replace(NODE.directory, free_bytes=free)
    context, loop, _ = scene(node=replace(NODE, system_id=SYSTEM_ID, timeline=2, history=history, directory=directory))
    loop.world = replace(loop.world, lease=LEASE if leads else None)
    return replace(context, backups=backups or ScriptedBackups((OLD, NEW))), loop


def document(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def test_the_plan_says_what_would_happen_and_begins_nothing() -> None:
    context, loop = stage()
    plan = document(restore(context, {"to": TARGET, "dry_run": True}).document)
    assert (plan["backup"], plan["along"], plan["stops"], plan["keeps_old_directory"]) == ("old", 2, ["b", "c"], True)
    assert loop.submitted == []


def test_a_branch_that_was_given_up_is_come_to_from_a_backup_before_it_began() -> None:
    backups = ScriptedBackups((OLD, replace(NEW, timeline=5)))
    context, _ = stage(backups)
    branch = {"to": "latest", "timeline": "7", "dry_run": True}
    with pytest.raises(RefusedError, match=r"did not give 00000007\.history"):
        restore(context, branch)
    assert document(restore(context, {**branch, "timeline": "5"}).document)["backup"] == "new", "it is of the branch itself"
    backups.histories[7] = TimelineHistory(timeline=7, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(1 << 60)),))
    plan = document(restore(context, branch).document)
    assert (plan["backup"], plan["along"]) == ("old", 7)


def doubting(backups: ScriptedBackups, *names: str) -> Context:
    context, loop = stage(backups)
    assert loop.world.cluster is not None
    record = BackupRecord(doubts=tuple(Doubt(backup=one) for one in names))
    loop.world = replace(loop.world, cluster=replace(loop.world.cluster, backups=record))
    return context


def test_a_backup_in_doubt_is_begun_with_where_no_other_leads_there_or_it_is_named_and_that_is_said() -> None:
    latest: dict[str, Any] = {"to": "latest", "dry_run": True}

    def plan(context: Context, **body: object) -> tuple[str, bool]:
        found = document(restore(context, {**latest, **body}).document)
        return found["backup"], "in doubt" in " ".join(found["remarks"])

    one, both = (doubting(ScriptedBackups((OLD, NEW)), *names) for names in (["new"], ["new", "old"]))
    assert plan(one) == plan(one, discard=True) == ("old", False)
    assert plan(one, backup="new") == plan(one, backup="new", discard=True) == ("new", True)
    assert plan(both) == ("new", True)
    with pytest.raises(RefusedError, match="in doubt") as refused:
        plan(both, discard=True)
    assert refused.value.status == 412


def test_it_begins_only_with_the_name_of_the_cluster() -> None:
    context, loop = stage()
    for word in ("", "yes", "DEMO"):
        with pytest.raises(RefusedError) as refused:
            restore(context, {"to": TARGET, "confirm": word})
        assert refused.value.status == 412
    loop.answer_all = (True, "the restore begins")
    assert restore(context, {"to": TARGET, "confirm": "demo", "discard": True}).status == 202
    (command,) = loop.submitted
    assert isinstance(command, RestoreCommand)
    assert (command.backup, command.along, command.keep) == ("old", 2, False)


def test_what_a_rule_refuses_is_refused() -> None:
    context, loop = stage()
    loop.answer_all = (False, "other work goes on")
    with pytest.raises(RefusedError, match="other work") as refused:
        restore(context, {"to": TARGET, "confirm": "demo"})
    assert refused.value.status == 409


def test_an_agent_that_does_not_answer_has_not_begun() -> None:
    context, loop = stage()
    with pytest.raises(RefusedError, match="not begun"):
        restore(context, {"to": TARGET, "confirm": "demo"})
    assert loop.submitted == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"to": "yesterday"}, 400),
        ({"to": "2026-05-18 12:00:00"}, 400),
        ({"to": TARGET, "inclusive": "no"}, 400),
        ({"to": TARGET, "timeline": "newest"}, 400),
        ({"to": TARGET, "extra": 1}, 400),
        ({"to": "2026-05-01T12:00:00+00:00"}, 412),
        ({"to": TARGET, "backup": "new"}, 412),
        ({"to": "2099-01-01T00:00:00+00:00"}, 412),
    ],
)
def test_a_target_that_nobody_can_reach_is_refused(body: dict[str, Any], status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        restore(stage()[0], {**body, "dry_run": True})
    assert refused.value.status == status


def test_without_room_for_both_directories_the_old_one_must_be_given_up_on_purpose() -> None:
    context, _ = stage(free=1000)
    with pytest.raises(RefusedError, match="discard"):
        restore(context, {"to": TARGET, "dry_run": True})
    assert restore(context, {"to": TARGET, "dry_run": True, "discard": True}).status == 200


def test_a_directory_that_cannot_be_moved_must_be_given_up_on_purpose() -> None:
    context, _ = stage(ScriptedBackups((OLD, NEW), stays="it is a mount point"))
    with pytest.raises(RefusedError, match="discard"):
        restore(context, {"to": TARGET, "dry_run": True})
    assert restore(context, {"to": TARGET, "dry_run": True, "discard": True}).status == 200


@pytest.mark.parametrize(
    ("backups", "leads", "status"),
    [
        (ScriptedBackups(name=None), True, 404),
        (ScriptedBackups(PluginUnavailableError("away")), True, 503),
        (ScriptedBackups((OLD,)), False, 503),
    ],
)
def test_without_a_plugin_a_list_or_the_lead_there_is_no_plan(backups: ScriptedBackups, leads: bool, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        restore(stage(backups, leads=leads)[0], {"to": TARGET})
    assert refused.value.status == status


def test_how_far_it_is_is_shown_to_everybody() -> None:
    context, loop = stage(leads=False)
    assert show_restore(context, {}).status == 404
    loop.dcs.put("hacore", own_json(own(restore=RESTORE)))
    loop.turn()
    shown = document(show_restore(context, {}).document)
    assert (shown["state"], shown["member"], shown["progress"]) == ("restoring", "a", loop.decision.reason)


def test_a_leader_ends_its_own() -> None:
    context, loop = stage()
    loop.answer_all = (True, "the restore is being ended")
    assert cancel_restore(context, {}).status == 200
    assert isinstance(loop.submitted[0], CancelRestoreCommand)


def test_where_nobody_leads_it_is_given_up_in_the_store() -> None:
    context, loop = stage(leads=False)
    assert cancel_restore(context, {}).status == 404
    loop.dcs.put("hacore", own_json(own(restore=RESTORE)))
    assert cancel_restore(context, {}).status == 409  # somebody holds the lock: that one is asked
    loop.dcs.lock = None
    assert cancel_restore(context, {}).status == 409  # this one restores: it has what was moved aside
    loop.dcs.put("hacore", own_json(own(restore=replace(RESTORE, member="b"))))
    assert cancel_restore(context, {}).status == 200
    given_up = read_own(loop.dcs.value("hacore") or "").restore
    assert given_up is not None
    assert (given_up.state, "given up" in (given_up.error or "")) == (RestoreState.FAILED, True)


def test_a_second_person_is_told_of_the_restore_that_goes_on() -> None:
    context, loop = stage(leads=False)
    loop.dcs.put("hacore", own_json(own(restore=RESTORE)))
    loop.turn()
    with pytest.raises(RefusedError, match="already") as refused:
        restore(context, {"to": TARGET, "dry_run": True})
    assert refused.value.status == 409


def test_a_position_that_was_never_reached_is_refused_before_anything_stops() -> None:
    context, loop = stage()
    loop.world = replace(loop.world, node=replace(loop.world.node, role=Role.PRIMARY, flushed_lsn=Lsn(0x5000000)))
    with pytest.raises(RefusedError, match="yet to come"):
        restore(context, {"to": "0/6000000", "dry_run": True})


def test_while_the_archive_takes_nothing_the_old_directory_is_not_given_up() -> None:
    context, loop = stage()
    state = ArchiveState(name="walg", identity=ArchiveIdentity.OWN, fault="the disk is full", ready_files=3)
    loop.world = replace(loop.world, node=replace(loop.world.node, archive=state))
    (remark,) = document(restore(context, {"to": TARGET, "dry_run": True}).document)["remarks"]
    assert "the disk is full" in remark
    with pytest.raises(RefusedError, match="the disk is full") as refused:
        restore(context, {"to": TARGET, "dry_run": True, "discard": True})
    assert refused.value.status == 412


def test_the_plan_says_what_must_end_before() -> None:
    context, loop = stage()
    task = BackupTask(id="t", work=BackupWork.BACKUP, member="b", token=1, asked_at=NOW, reason="scheduled")
    assert loop.world.cluster is not None
    cluster = replace(loop.world.cluster, backups=BackupRecord(task=task))
    loop.world = replace(loop.world, cluster=cluster, policy=replace(loop.world.policy, pause=True))
    remarks = document(restore(context, {"to": TARGET, "dry_run": True}).document)["remarks"]
    assert [word in " ".join(remarks) for word in ("maintenance", "backup goes on on b")] == [True, True]
