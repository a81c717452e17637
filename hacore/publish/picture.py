"""What this node shows of itself to everybody who asks over HTTP: built from the world of one turn, carried as JSON.

A pure function of world and decision. It knows neither the shared memory nor the answers that are made of it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import urlsplit

from hacore import INTERFACE_VERSION, __version__
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.backups import BackupRecord, BackupWork
from hacore.model.clock import Instant
from hacore.model.commands import ReinitializeCommand, RestartCommand
from hacore.model.jobs import JobKind
from hacore.model.node import Role, ServerState, WalSender
from hacore.model.world import Decision, World
from hacore.publish.words import role_word, state_word

_SENDERS_MAX: Final = 500

Scalar = str | int | float | bool
Sample = tuple[str, str, str, tuple[tuple[str, str], ...], float]  # plugin, name, help, labels, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One server that streams from this one."""

    usename: str
    application_name: str
    client_addr: str | None
    state: str
    sync_state: str
    sync_priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the loop has counted since the agent was started; for ``/metrics``."""

    turns: int = 0
    turn_s: float | None = None  # how long the last turn took
    dcs_latency_s: float | None = None  # of the last call that was answered
    dcs_errors: int = 0
    fences: int = 0  # times that the guard has ended the server
    rules: tuple[tuple[str, str, int], ...] = ()  # table, rule, how often it has answered
    plugin_calls: tuple[tuple[str, str, str, int], ...] = ()  # plugin, hook, outcome (``ok``, ``failed``, ``late``), how often
    routers: tuple[tuple[str, str, str | None, Instant | None, str | None, bool | None], ...] = ()
    # name, layer, why the outside is not as it shall be, when it last was, where it leads writes, whether that is the leader
    plugin_samples: tuple[Sample, ...] = ()
    plugin_words: tuple[tuple[str, str, Scalar | None], ...] = ()  # plugin, what it tells of, and what


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that a health check and the parts of the status document that need no fresh query rest on."""

    name: str
    scope: str
    version: str = INTERFACE_VERSION
    hacore_version: str = __version__
    state: str  # interface reference 5.9
    role: str  # measured where the server answered, else what it was last
    running: bool  # the server answered a query in the turn
    has_view: bool  # the store could be read
    pause: bool = False
    cluster_unlocked: bool = False
    standby_cluster: bool = False
    failsafe_active: bool = False
    sync_standby: bool = False
    quorum_standby: bool = False
    ttl_s: float
    loop_wait_s: float
    next_run: Instant
    dcs_last_seen: int = 0  # seconds since 1970; 0: never
    tags: tuple[tuple[str, Scalar], ...] = ()
    noloadbalance: bool = False
    maximum_lag_on_failover: int = 1048576
    optime: int | None = None  # position of the leader as the store has it
    timeline: int | None = None
    server_version: int | None = None
    postmaster_start_time: str | None = None
    system_id: str | None = None
    location: int | None = None  # primary
    received: int | None = None  # standby
    replayed: int | None = None
    replayed_at: str | None = None
    replay_paused: bool = False
    replication_state: str | None = None
    senders: tuple[Sender, ...] = ()
    pending_restart: tuple[tuple[str, str, str], ...] = ()  # setting, old value, new value
    scheduled_restart: str | None = None  # JSON text
    reinitialize: tuple[str, str | None] | None = None  # id of one that is to come or goes on, or that has failed last, and why
    reinitialized: str | None = None  # id of the last one, where it is done
    unsupported: tuple[str, ...] = ()  # dynamic settings that this node ignores
    refuses_election: str | None = None
    table: str = ""
    rule: str = ""
    reason: str = ""
    fence: str = "none"  # coverage: full, partial or none
    fence_armed: bool = False
    token: int | None = None  # fencing token of the lease that is held
    archive: ArchiveState | None = None
    member_hosts: tuple[str, ...] = ()  # of all members' ``api_url``
    backups: tuple[tuple[str, float], ...] = ()  # figures of the cluster's backups, by the end of their metric's name
    figures: Figures = field(default_factory=Figures)


def picture(world: World, decision: Decision, *, figures: Figures | None = None) -> Picture:
    """Build the picture of one turn."""
    node, policy = world.node, world.policy
    wait_s = world.times.loop_wait_s if decision.wake_after_s is None else min(decision.wake_after_s, world.times.loop_wait_s)
    view = world.cluster
    return Picture(
        name=world.me.name,
        scope=world.me.scope,
        state=state_word(world),
        role=role_word(world),
        running=node.server is ServerState.RUNNING and node.role is not None,
        has_view=view is not None,
        pause=policy.pause,
        cluster_unlocked=view is None or view.lock is None,
        ttl_s=world.times.ttl_s,
        loop_wait_s=world.times.loop_wait_s,
        next_run=world.now + wait_s,
        dcs_last_seen=_dcs_last_seen(world),
        tags=world.me.tags.published,
        noloadbalance=world.me.tags.noloadbalance,
        maximum_lag_on_failover=policy.maximum_lag_on_failover,
        optime=view.status.optime if view else None,
        timeline=node.timeline,
        server_version=node.server_version,
        postmaster_start_time=node.postmaster_start_time,
        system_id=node.system_id,
        location=node.flushed_lsn if node.role is Role.PRIMARY else None,
        received=node.received_lsn,
        replayed=node.replayed_lsn,
        replayed_at=node.replayed_at,
        replay_paused=node.replay_paused,
        replication_state=node.replication_state,
        senders=tuple(_sender(row) for row in node.senders[:_SENDERS_MAX]),
        pending_restart=node.pending_restart,
        scheduled_restart=_scheduled_restart(world),
        reinitialize=_reinitialize(world),
        reinitialized=_reinitialized(world),
        unsupported=policy.unsupported,
        refuses_election=world.refuses_election,
        table=decision.table,
        rule=decision.rule,
        reason=decision.reason,
        fence=node.fence.coverage,
        fence_armed=node.fence.armed,
        token=world.lease.token if world.lease else None,
        archive=node.archive,
        member_hosts=_member_hosts(world),
        backups=tuple(_backups(view.backups)) if view is not None and view.backups is not None else (),
        figures=figures or Figures(),
    )


def _reinitialize(world: World) -> tuple[str, str | None] | None:
    """Return the one that a person asked for; none where it was done."""
    asked = next((one.id for one in world.commands if isinstance(one, ReinitializeCommand)), None)
    if asked is None and world.job is not None and world.job.kind is JobKind.CREATE_REPLICA:
        asked = world.job.command
    if asked is not None:
        return asked, None
    last = world.outcome(JobKind.CREATE_REPLICA)
    return (last.command, last.error) if last is not None and last.command is not None and not last.is_done else None


def _reinitialized(world: World) -> str | None:
    last = world.outcome(JobKind.CREATE_REPLICA)
    return last.command if last is not None and last.is_done else None


def _backups(record: BackupRecord) -> Iterator[tuple[str, float]]:
    """Yield what is known; instants as seconds since 1970."""
    if record.newest_good is not None:
        yield "newest_good_timestamp_seconds", record.newest_good.timestamp()
    if record.window_start is not None:
        yield "window_start_timestamp_seconds", record.window_start.timestamp()
    if record.listed is not None:
        yield "good", record.listed
    yield "running", record.task is not None
    verified_at = max((at for _, at in record.verified), default=None)
    if verified_at is not None:
        yield "verified_timestamp_seconds", verified_at.timestamp()
    result = record.result(BackupWork.BACKUP)
    if result is not None:
        yield "failures", result.failures
        yield "last_attempt_timestamp_seconds", result.ended_at.timestamp()
        yield "last_attempt_duration_seconds", (result.ended_at - result.began_at).total_seconds()


def without_plugins(shown: Picture) -> Picture:
    """Leave out what plugins say of themselves, of which there may be more than there is room for."""
    return replace(shown, figures=replace(shown.figures, routers=(), plugin_samples=(), plugin_words=()))


def encode(shown: Picture) -> bytes:
    """Write a picture as JSON."""
    return _ENCODER.encode(shown).encode()


def _fields(value: Picture | Sender | Figures | ArchiveState) -> dict[str, object]:
    """What the encoder asks for where it meets a dataclass; ``asdict`` would copy every value first, each turn."""
    return {name: getattr(value, name) for name in value.__slots__}


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), default=_fields)


def decode(document: bytes) -> Picture:
    """Read what :func:`encode` has written, also by an agent of a neighbouring version: what it does not say has its default."""
    found: dict[str, Any] = json.loads(document)
    known = {one.name for one in fields(Picture)}
    plain = {name: _frozen(value) for name, value in found.items() if name in known}
    plain["senders"] = tuple(Sender(**one) for one in found.get("senders", ()))
    numbers: Mapping[str, Any] = found.get("figures", {})
    plain["figures"] = Figures(**{name: _frozen(numbers[name]) for name in numbers if name in {one.name for one in fields(Figures)}})
    plain["archive"] = _archive(found.get("archive"))
    return Picture(**plain)


def _archive(found: dict[str, Any] | None) -> ArchiveState | None:
    if found is None:
        return None
    known = {name: _frozen(value) for name, value in found.items() if name in {one.name for one in fields(ArchiveState)}}
    return ArchiveState(**{**known, "identity": ArchiveIdentity(known["identity"])})


def _frozen(value: object) -> Any:  # noqa: ANN401 - JSON holds any plain value
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def _sender(row: WalSender) -> Sender:
    return Sender(
        usename=row.usename,
        application_name=row.application_name,
        client_addr=row.client_addr,
        state=row.state,
        sync_state=row.sync_state,
        sync_priority=row.sync_priority,
    )


def _dcs_last_seen(world: World) -> int:
    if world.cluster is not None:
        return int(world.wall.timestamp() - (world.now - world.cluster.sent_at))
    lost_since = world.sightings.store_lost_since
    return 0 if lost_since is None else int(world.wall.timestamp() - (world.now - lost_since))


def scheduled_restart_document(command: RestartCommand) -> dict[str, object]:
    """Return a scheduled restart as the member record and the status document show it."""
    wanted: dict[str, object] = {"schedule": command.schedule.isoformat() if command.schedule else None}
    wanted["postmaster_start_time"] = command.postmaster_start_time
    wanted["role"] = command.role
    wanted["postgres_version"] = _version_text(command.postgres_version)
    wanted["timeout"] = command.timeout_s
    wanted["restart_pending"] = command.restart_pending or None
    return {key: value for key, value in wanted.items() if value is not None}


def _version_text(number: int | None) -> str | None:
    if number is None:
        return None
    if number >= 100_000:  # noqa: PLR2004 - from PostgreSQL 10 on: major * 10000 + minor
        return f"{number // 10_000}.{number % 10_000}"
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"


def _scheduled_restart(world: World) -> str | None:
    waiting = (one for one in world.commands if isinstance(one, RestartCommand) and one.schedule is not None)
    command = next(waiting, None)
    return json.dumps(scheduled_restart_document(command)) if command else None


def _member_hosts(world: World) -> tuple[str, ...]:
    urls = (member.api_url for member in world.cluster.members) if world.cluster else ()
    hosts = {_host(url) for url in urls if url}
    return tuple(sorted(host for host in hosts if host))


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # somebody else's record: not an address is as good as none
        return None
