import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hacore.backup.leading import Wanted, begun
from hacore.backup.policy import BackupPolicy
from hacore.backup.retention import Retention
from hacore.backup.schedule import Schedule
from hacore.control.backups import begin_backup, cancel_backup, show_backups
from hacore.control.context import Context, RefusedError
from hacore.errors import DcsUnavailableError, HacoreError, PluginUnavailableError
from hacore.interfaces import Backup
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork, Doubt
from hacore.model.lease import Lease, Lock
from hacore.model.timeline import TimelineHistory
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup
from tests.unit.control.samples import NODE, scene

LEASE = Lease(lock=Lock(holder="a", instance="1"), token=1, sent_at=100, ttl_s=30, margin_s=3, budget_s=2)


@dataclass
class ScriptedBackups:
    """A tool's list, and what was begun."""

    found: Sequence[Backup] | HacoreError = ()
    says: BackupPolicy = field(default_factory=BackupPolicy)
    name: str | None = "plain"
    refusal: HacoreError | None = None
    begun: list[tuple[Wanted, str | None]] = field(default_factory=list)
    running: BackupTask | None = None
    stands: BackupRecord | HacoreError = field(default_factory=BackupRecord)
    histories: dict[int, TimelineHistory] = field(default_factory=dict)  # of branches that were given up
    stays: str | None = None  # why the old data cannot be kept aside

    def begin(self, wanted: Wanted, *, member: str | None = None) -> BackupTask:
        if self.refusal is not None:
            raise self.refusal
        self.begun.append((wanted, member))
        task = begun(BackupRecord(), wanted, task_id="t", member=member or "b", token=1, now=NOW).task
        assert task is not None
        return task

    def cancel(self) -> BackupTask | None:
        return self.running

    def record(self) -> BackupRecord:
        if isinstance(self.stands, HacoreError):
            raise self.stands
        return self.stands

    def why_not_aside(self) -> str | None:
        return self.stays

    def listed(self) -> tuple[Backup, ...]:
        if isinstance(self.found, HacoreError):
            raise self.found
        return tuple(self.found)

    def history_of(self, timeline: int) -> TimelineHistory | None:
        return self.histories.get(timeline)

    def policy(self) -> BackupPolicy:
        return self.says

    def plugin(self) -> str | None:
        return self.name


def context_of(backups: ScriptedBackups, *, leads: bool = True) -> Context:
    context, loop, _ = scene(node=replace(NODE, system_id=SYSTEM_ID))
    loop.world = replace(loop.world, lease=LEASE if leads else None)
    return replace(context, backups=backups)


def document(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def test_the_list_comes_with_what_goes_on_and_when_the_next_is_due() -> None:
    policy = BackupPolicy(schedule=Schedule(expression="0 3 * * *"))
    found = document(show_backups(context_of(ScriptedBackups((backup("one"),), policy)), {}).document)
    assert (found["plugin"], found["schedule"], [one["id"] for one in found["backups"]]) == ("plain", "0 3 * * *", ["one"])
    assert found["next_backup"]
    assert "is_locked" not in found["backups"][0]


def test_a_check_that_has_just_ended_is_shown_although_the_newest_turn_is_older() -> None:
    backups = ScriptedBackups((backup("one"),), stands=BackupRecord(verified=(("one", NOW),)))
    assert document(show_backups(context_of(backups), {}).document)["backups"][0]["verified_at"] == NOW.isoformat()
    backups.stands = DcsUnavailableError("no answer")
    assert "verified_at" not in document(show_backups(context_of(backups), {}).document)["backups"][0]


def test_a_backup_in_doubt_is_shown_as_one() -> None:
    backups = ScriptedBackups((backup("one"), backup("two", 0)), stands=BackupRecord(doubts=(Doubt(backup="two"),)))
    shown = document(show_backups(context_of(backups), {}).document)["backups"]
    assert [one.get("is_in_doubt") for one in shown] == [None, True]


def test_a_backup_that_is_made_and_waits_for_its_wal_is_shown() -> None:
    task = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="b", token=1, now=NOW)
    made = BackupResult(id="t", work=BackupWork.BACKUP, member="b", began_at=NOW, ended_at=NOW, backup="one")
    shown = document(show_backups(context_of(ScriptedBackups(stands=task.reported(made))), {}).document)["task"]
    assert (shown["made"]["backup"], "not archived" in shown["progress"]) == ("one", True)


def test_a_list_that_cannot_be_read_is_an_error_and_not_an_empty_one() -> None:
    reply = show_backups(context_of(ScriptedBackups(PluginUnavailableError("the bucket is away"))), {})
    found = document(reply.document)
    assert (reply.status, found["error"], "backups" in found) == (503, "the bucket is away", False)


def test_a_person_begins_a_backup_of_the_configured_kind_or_another() -> None:
    backups = ScriptedBackups()
    assert begin_backup(context_of(backups), {}).status == 202
    assert begin_backup(context_of(backups), {"kind": "full", "member": "c"}).status == 202
    backups.found = (backup("one"),)
    assert begin_backup(context_of(backups), {"work": "verify", "backup": "one", "restore": True}).status == 202
    assert [(wanted.work, str(wanted.kind), wanted.backup, wanted.restores, member) for wanted, member in backups.begun] == [
        (BackupWork.BACKUP, "auto", None, False, None),
        (BackupWork.BACKUP, "full", None, False, "c"),
        (BackupWork.VERIFY, "auto", "one", True, None),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"work": "dance"}, 400), ({"kind": "half"}, 400), ({"restore": "yes"}, 400), ({"extra": 1}, 400), ({"backup": 7}, 400)],
)
def test_a_wish_that_nobody_understands_is_refused(body: dict[str, object], status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        begin_backup(context_of(ScriptedBackups()), body)
    assert refused.value.status == status


def test_only_the_leader_gives_work_out_and_says_why_it_does_not() -> None:
    with pytest.raises(RefusedError, match="does not lead"):
        begin_backup(context_of(ScriptedBackups(), leads=False), {})
    with pytest.raises(RefusedError, match="goes on") as refused:
        begin_backup(context_of(ScriptedBackups(refusal=HacoreError("backup goes on on b"))), {})
    assert refused.value.status == 409


def test_what_expires_is_shown_before_anything_goes() -> None:
    backups = ScriptedBackups((backup("old", 3), backup("new", 1)), BackupPolicy(retention=Retention(min_count=1)))
    shown = document(begin_backup(context_of(backups), {"work": "expire", "dry_run": True}).document)
    assert (shown["remove"], [one["id"] for one in shown["keep"]], backups.begun) == (["old"], ["new"], [])
    begin_backup(context_of(backups), {"work": "expire"})
    assert [wanted.remove for wanted, _ in backups.begun] == [("old",)]


@pytest.mark.parametrize(
    ("backups", "status"),
    [
        (ScriptedBackups((backup("one"),)), 412),
        (ScriptedBackups(PluginUnavailableError("x"), BackupPolicy(retention=Retention())), 503),
        (ScriptedBackups(name=None), 404),
    ],
)
def test_nothing_expires_without_a_retention_a_list_or_a_plugin(backups: ScriptedBackups, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        begin_backup(context_of(backups), {"work": "expire"})
    assert refused.value.status == status


def test_what_goes_on_can_be_ended() -> None:
    task = begun(BackupRecord(), Wanted(work=BackupWork.BACKUP, reason="r"), task_id="t", member="b", token=1, now=NOW).task
    assert cancel_backup(context_of(ScriptedBackups(running=task)), {}).status == 200
    assert cancel_backup(context_of(ScriptedBackups()), {}).status == 404


@pytest.mark.parametrize(("found", "status"), [((backup("one"),), 412), (PluginUnavailableError("away"), 503)])
def test_a_check_of_what_is_not_there_is_no_work_that_fails(found: Sequence[Backup] | HacoreError, status: int) -> None:
    backups = ScriptedBackups(found)
    with pytest.raises(RefusedError) as refused:
        begin_backup(context_of(backups), {"work": "verify", "backup": "two"})
    assert (refused.value.status, backups.begun) == (status, [])
