"""Carry out the steps of one decision, in their order. A step that fails ends the turn: the next one looks afresh."""

import logging
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from hacore.act.keeper import LeaseKeeper
from hacore.errors import HacoreError
from hacore.model.memory import Sightings
from hacore.model.steps import (
    AcquireLease,
    AnswerCommand,
    Arm,
    ArmAdopted,
    Bootstrap,
    CancelJob,
    CreateReplica,
    Disarm,
    DrainTraffic,
    EndServer,
    Exit,
    Follow,
    Promote,
    PutRecord,
    ReconcileSlots,
    RecoverFromCrash,
    ReleaseLease,
    Reload,
    ReloadServer,
    RememberDemotion,
    RestartServer,
    RestoreFromBackup,
    ResumeLease,
    Rewind,
    ServerStep,
    StartServer,
    Step,
    StopServer,
    StoreStep,
    TakeCheckpoint,
    UndoRestore,
    WriteHistory,
    WriteOwn,
)
from hacore.model.world import Decision, World
from hacore.ports import Ports
from hacore.records import names
from hacore.records.history import history_json

logger: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Effects:
    """What carrying out a decision did to the agent itself."""

    exit: Exit | None = None
    answers: dict[str, tuple[bool, str]] = field(default_factory=dict)
    sightings: Sightings | None = None


class Actor:
    """The ports through which steps are carried out."""

    def __init__(self, ports: Ports, keeper: LeaseKeeper) -> None:
        self._ports, self._keeper = ports, keeper

    def carry_out(self, decision: Decision, world: World) -> Effects:
        """Carry out the steps until one could not be done."""
        effects = Effects()
        for step in decision.steps:
            try:
                done = self._do(step, world, effects)
            except HacoreError as error:
                logger.warning("step failed", extra={"rule": decision.rule, "step": type(step).__name__, "error": str(error)})
                break
            if not done:
                logger.info("step was refused", extra={"rule": decision.rule, "step": type(step).__name__})
                break
        return effects

    def _do(self, step: Step, world: World, effects: Effects) -> bool:
        match step:
            case AcquireLease() | ResumeLease() | ReleaseLease() | WriteOwn() | PutRecord() | WriteHistory():
                return self._on_store(step, world)
            case Follow() | ReloadServer() | ReconcileSlots() | EndServer() | Arm() | Disarm() | ArmAdopted():
                self._on_server(step, world)
            case (
                Bootstrap()
                | CreateReplica()
                | Rewind()
                | RecoverFromCrash()
                | RestoreFromBackup()
                | UndoRestore()
                | StartServer()
                | StopServer()
                | RestartServer()
                | Promote()
                | TakeCheckpoint()
                | DrainTraffic()
            ):
                lease = self._keeper.lease
                command = step.command if isinstance(step, RestartServer | RestoreFromBackup | UndoRestore | CreateReplica) else None
                return self._ports.worker.submit(step, token=lease.token if lease else None, command=command)
            case CancelJob():
                self._ports.worker.cancel(step.reason)
            case AnswerCommand():
                effects.answers[step.id] = (step.done, step.text)
            case Reload():
                error = self._ports.settings.reload()
                effects.answers[step.command] = (error is None, error or "reloaded")
            case RememberDemotion():
                since = None if step.candidate is None else self._ports.clock.now()
                effects.sightings = replace(world.sightings, demoting=step.candidate, demoting_since=since)
            case Exit():
                effects.exit = step
            case _:
                assert_never(step)
        return True

    def _on_store(self, step: StoreStep, world: World) -> bool:
        keeper, times, policy = self._keeper, world.times, world.policy
        match step:
            case AcquireLease():
                return keeper.acquire(step, times=times, policy=policy, node=world.node)
            case ResumeLease():
                return keeper.resume(step.lock, step.token, times=times, policy=policy, node=world.node)
            case ReleaseLease(clean=True) if world.may_begin_to_write:
                return False  # whatever rule asked: the mark has others lead without waiting
            case ReleaseLease():
                self._ports.lease_ends()
                keeper.release(clean=step.clean, optime=step.optime, timeout_s=times.retry_timeout_s, lock=step.lock)
                if step.clean and world.node.fence.armed:
                    self._ports.fence.disarm("released")
            case WriteOwn():
                return keeper.write_own(step.own, timeout_s=times.retry_timeout_s)
            case PutRecord():
                return keeper.write(step, timeout_s=times.retry_timeout_s)
            case WriteHistory():
                return keeper.write(self._history(step, world), timeout_s=times.retry_timeout_s)
            case _:
                assert_never(step)
        return True

    def _on_server(self, step: ServerStep, world: World) -> None:
        match step:
            case Follow():
                self._ports.postgres.follow(step.upstream)
            case ReloadServer():
                self._ports.postgres.reload()
            case ReconcileSlots():
                self._ports.postgres.reconcile_slots(step)
            case EndServer():
                self._ports.postgres.end(step.reason)
            case Arm():
                self._keeper.arm()
            case Disarm():
                self._ports.fence.disarm(step.reason)
            case ArmAdopted():
                self._arm_adopted(world)
            case _:
                assert_never(step)

    def _arm_adopted(self, world: World) -> None:
        """F = adoption + T, written to the disk before, and never extended by an agent that was started again.

        A disk that does not take it is no reason to let the primary write on without any: the guard, which outlives the agent, is armed.
        """
        memory, times = self._keeper.remembered.memory, world.times
        ends_at = memory.adopted_deadline
        if ends_at is None:
            ends_at = self._ports.clock.now() + times.ttl_s
            self._keeper.remembered.note(replace(memory, adopted_deadline=ends_at, adopted_boot_id=self._ports.boot_id))
        budget_s = world.policy.budget(times.ttl_s)
        self._ports.fence.arm(token=memory.held_token or 0, fence_at=ends_at - budget_s, budget_s=budget_s)

    def _history(self, step: WriteHistory, world: World) -> PutRecord:
        """The newest line gets the time of day and the name of the leader they led to (interface reference 3.1)."""
        *older, newest = step.lines or (None,)
        if newest is not None and not newest.timestamp:
            newest = replace(newest, timestamp=self._ports.clock.wall().isoformat(), new_leader=world.me.name)
        lines = tuple(line for line in (*older, newest) if line is not None)
        return PutRecord(name=names.HISTORY, value=history_json(lines))
