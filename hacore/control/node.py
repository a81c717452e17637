"""Commands for this node alone: restart, reload, reinitialize (interface reference 4.6, 10.4, 10.5).

What can be refused at once is refused here; a rule of ``decide`` has the last word when the command is due.
"""

from typing import Final

from hacore.control.context import Body, Context, RefusedError, flag_of, future, only_known, text_of
from hacore.control.wire import Reply
from hacore.convert import WrongValueError, seconds
from hacore.model.commands import ReinitializeCommand, ReloadCommand, RestartCommand
from hacore.model.jobs import JobKind
from hacore.model.node import Role, ServerState
from hacore.model.world import World

_RESTART_KEYS: Final = frozenset({"schedule", "role", "postgres_version", "timeout", "restart_pending"})
_ROLES: Final = ("primary", "standby_leader", "replica")
_STOP_S: Final = 120.0  # what stopping may take on top of the start
_SEEN_S: Final = 5.0
_STARTED_S: Final = 10.0
_TWO_PART: Final = 10  # first major version whose number has two parts
_LARGEST_PART: Final = 99


def restart(context: Context, body: Body) -> Reply:
    """``POST /restart``: now, or at a time."""
    world, _ = context.latest()
    command = _restart_command(context, body, world)
    if command.schedule is not None:
        return _schedule(context, command, world)
    refused = _conditions(command, world) or _busy(world)
    if refused is not None:
        raise RefusedError(503, refused)
    context.loop.submit(command)
    start_s = command.timeout_s if command.timeout_s is not None else world.policy.primary_start_timeout_s
    answer = context.loop.result(command.id, start_s + _STOP_S)
    if answer is None:
        context.loop.cancel(command.id)
        raise RefusedError(503, "restart status unknown")
    done, text = answer
    return Reply(status=200, text="restarted successfully") if done else Reply(status=503, text=text or "restart failed")


def cancel_restart(context: Context, _: Body) -> Reply:
    """``DELETE /restart``: only one that waits for its time."""
    world, _decision = context.latest()
    waiting = _scheduled(world)
    if waiting is None or not context.loop.cancel(waiting.id):
        return Reply(status=404, text="no restarts are scheduled")
    context.loop.wake()
    return Reply(status=200, text="scheduled restart deleted")


def reload(context: Context, _: Body) -> Reply:
    """``POST /reload``: like SIGHUP, before the next turn."""
    context.loop.submit(ReloadCommand(id=context.new_id(), received_at=context.clock.now()))
    return Reply(status=202, text="reload scheduled")


def reinitialize(context: Context, body: Body) -> Reply:
    """``POST /reinitialize``: 200 when the old data are gone, 202 while it waits."""
    force, from_leader = flag_of(body, "force"), flag_of(body, "from_leader")
    world, _ = context.latest()
    lock = world.cluster.lock if world.cluster else None
    if lock is None:
        raise RefusedError(503, "Cluster has no leader, can not reinitialize")
    if lock.holder == world.me.name:
        raise RefusedError(503, "I am the leader, can not reinitialize")
    if world.job is not None and not force:
        raise RefusedError(503, _in_progress(world.job.kind))
    command = ReinitializeCommand(id=context.new_id(), received_at=context.clock.now(), force=force, from_leader=from_leader)
    context.loop.submit(command)
    answer = context.loop.result(command.id, _STARTED_S)
    if answer is not None and not answer[0]:
        return Reply(status=503, text=answer[1] or "reinitialize failed")
    if answer is None:  # it stays in the world, until it can be done or a rule refuses it
        return Reply(status=202, text=f"reinitialize waits: {context.latest()[1].reason}")
    return Reply(status=200, text="reinitialize started")


def version_number(text: str) -> int:
    """Read a server version as PostgreSQL counts it: ``9.6.24`` is 90624, ``16.2`` is 160002, ``16`` is 160000.

    :raises ValueError: it is none.
    """
    parts = text.split(".")
    if not all(part.isascii() and part.isdigit() and int(part[:3]) <= _LARGEST_PART for part in parts):
        raise ValueError(f"{text!r} is no server version")
    numbers = [int(part) for part in parts]
    if numbers[0] >= _TWO_PART and len(numbers) <= 2:  # noqa: PLR2004 - major and minor
        return numbers[0] * 10_000 + (numbers[1] if len(numbers) > 1 else 0)
    if numbers[0] < _TWO_PART and len(numbers) in {2, 3}:
        return numbers[0] * 10_000 + numbers[1] * 100 + (numbers[2] if len(numbers) > 2 else 0)  # noqa: PLR2004 - three parts
    raise ValueError(f"{text!r} is no server version")


def _restart_command(context: Context, body: Body, world: World) -> RestartCommand:
    only_known(body, _RESTART_KEYS)
    schedule = text_of(body, "schedule")
    role = text_of(body, "role")
    if role is not None and role not in _ROLES:
        raise RefusedError(400, f"role: want one of {', '.join(_ROLES)}")
    if schedule is not None and world.policy.pause:
        raise RefusedError(500, "Can't schedule restart in the paused state")
    return RestartCommand(
        id=context.new_id(),
        received_at=context.clock.now(),
        schedule=future(schedule, context.clock.wall()) if schedule is not None else None,
        role=role,
        postgres_version=_version(body.get("postgres_version")),
        timeout_s=_timeout(body.get("timeout")),
        restart_pending="restart_pending" in body,
        postmaster_start_time=world.node.postmaster_start_time,
    )


def _version(value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        return version_number(str(value).strip())
    except ValueError as error:
        raise RefusedError(400, "postgres_version: want a version like 9.6.24 or 16.2") from error


def _timeout(value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        found = seconds(value)
    except WrongValueError as error:
        raise RefusedError(400, f"timeout: want {error}") from error
    if found <= 0:
        raise RefusedError(400, "timeout: want more than 0 seconds")
    return found


def _schedule(context: Context, command: RestartCommand, world: World) -> Reply:
    if _scheduled(world) is not None:
        return Reply(status=409, text="Another restart is already scheduled")
    context.loop.submit(command)
    context.loop.wait_for(lambda seen, _decision: command in seen.commands or None, _SEEN_S)  # so that it can be seen, and deleted, at once
    return Reply(status=202, text="Restart scheduled")


def _scheduled(world: World) -> RestartCommand | None:
    return next((one for one in world.commands if isinstance(one, RestartCommand) and one.schedule is not None), None)


def _conditions(command: RestartCommand, world: World) -> str | None:
    node = world.node
    role = {Role.PRIMARY: "primary", Role.STANDBY: "replica", None: None}[node.role]
    unmet = (
        command.role is not None and command.role != role,
        command.postgres_version is not None and (node.server_version is None or node.server_version >= command.postgres_version),
        command.restart_pending and not node.pending_restart,
    )
    return "restart conditions are not satisfied" if any(unmet) else None


def _busy(world: World) -> str | None:
    if world.job is not None and world.job.kind is not JobKind.CHECKPOINT:
        return _in_progress(world.job.kind)
    return "postgres is still starting" if world.node.server is ServerState.STARTING else None


def _in_progress(kind: JobKind) -> str:
    return f"{kind.value.replace('_', ' ')} already in progress"
