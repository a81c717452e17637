"""``/metrics`` in the names that dashboards of the field know (interface reference 4.4), and our own beside them.

Rendered where it is asked for, from the shared picture and a fresh look at the server. All values are gauges: as counters the library
would add ``_total`` to names that dashboards rest on. Imported at the first request, because the library costs memory.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hacore.api.status import Measured, may_have_server
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.model.clock import Instant
from hacore.publish.picture import Picture
from hacore.publish.snapshot import Seen
from hacore.publish.words import STATES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_WITH_REPLICATION_STATE: Final = 90600  # the first server version that tells its replication state
_NOTHING: Final = Measured(in_recovery=False)

_BACKUPS: Final = {
    "newest_good_timestamp_seconds": "Seconds since 1970 at the end of the newest good backup.",
    "window_start_timestamp_seconds": "Seconds since 1970 at the end of the oldest good backup: the first time that can be recovered to.",
    "good": "Good backups in the repository.",
    "running": "1 if a backup, a check or an expiry goes on.",
    "verified_timestamp_seconds": "Seconds since 1970 when a backup was last checked and found good.",
    "failures": "Backups that failed since the last one that did not.",
    "last_attempt_timestamp_seconds": "Seconds since 1970 at the end of the last attempt, good or bad.",
    "last_attempt_duration_seconds": "Duration of the last attempt.",
}

Row = tuple[str, str, float]


def render(seen: Seen, measured: Measured | None, now: Instant) -> bytes:
    """Write all metrics as text; none where no agent has made a turn yet, and nothing that rests on a picture older than ttl."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(seen, measured, now))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, seen: Seen, measured: Measured | None, now: Instant) -> None:
        self._seen, self._now = seen, now
        picture = seen.picture
        self._is_fresh = seen.is_fresh(now)
        self._measured = measured if picture is not None and may_have_server(picture) else None

    def collect(self) -> Iterator[Metric]:
        picture = self._seen.picture
        if picture is None:
            return
        labels = {"scope": picture.scope, "name": picture.name}
        rows = [*_age(self._seen, self._now)]
        if self._is_fresh:
            rows += [*_server(picture, self._measured), *_of_cluster(picture), *_own(picture), *_archive(picture.archive)]
        yield from (_gauge(name, help_text, labels, value) for name, help_text, value in rows)
        if self._is_fresh:
            yield from _counted(picture, labels)
            yield from _routers(picture, labels, self._now)
            yield from _of_plugins(picture, labels)


def _gauge(name: str, help_text: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _server(picture: Picture, measured: Measured | None) -> Iterable[Row]:
    running = measured is not None and picture.state == "running"
    found = measured or _NOTHING
    is_primary = measured is not None and not found.in_recovery
    yield "patroni_version", "Level of the interface, two digits for each part.", _version_number(picture.version)
    yield "patroni_postgres_running", "1 if the server runs and answers.", running
    yield "patroni_postmaster_start_time", "Seconds since 1970 at the start of the server.", _epoch(found.postmaster_start_time)
    yield "patroni_primary", "1 if the server is primary.", is_primary
    yield "patroni_xlog_location", "Position of the primary in bytes, 0 on a standby.", found.location or 0
    yield "patroni_standby_leader", "1 if this leads a standby cluster.", found.in_recovery and picture.role == "standby_leader"
    yield "patroni_replica", "1 if the server is a standby.", found.in_recovery and picture.role != "standby_leader"
    yield "patroni_sync_standby", "1 if commits wait for this standby.", picture.sync_standby
    yield "patroni_quorum_standby", "1 if this standby is one of the quorum.", picture.quorum_standby
    received = found.received or found.replayed or 0
    yield "patroni_xlog_received_location", "Position received in bytes, 0 on a primary.", received if found.in_recovery else 0
    yield "patroni_xlog_replayed_location", "Position replayed in bytes, 0 on a primary.", found.replayed or 0
    yield "patroni_xlog_replayed_timestamp", "Seconds since 1970 of the last commit replayed.", _epoch(found.replayed_at)
    yield "patroni_xlog_paused", "1 if replay is paused.", found.replay_paused
    yield from _replication(found)
    yield "patroni_postgres_server_version", "Version of the server, 0 if unknown.", found.server_version or 0
    yield "patroni_postgres_timeline", "Timeline of the server, 0 if unknown.", found.timeline or picture.timeline or 0
    yield (
        "patroni_postgres_state",
        "State of the server as its number in the list of states, -1 if unknown.",
        _state_number(picture, measured),
    )


def _replication(found: Measured) -> Iterable[Row]:
    if (found.server_version or 0) >= _WITH_REPLICATION_STATE:
        state = found.replication_state if found.in_recovery else None
        yield "patroni_postgres_streaming", "1 if the standby streams.", state == "streaming"
        yield "patroni_postgres_in_archive_recovery", "1 if the standby reads from the archive.", state == "in archive recovery"


def _of_cluster(picture: Picture) -> Iterable[Row]:
    yield "patroni_cluster_unlocked", "1 if nobody holds the lease, or the store cannot be read.", picture.cluster_unlocked
    yield "patroni_failsafe_mode_is_active", "1 if the failsafe mode is active.", picture.failsafe_active
    yield "patroni_dcs_last_seen", "Seconds since 1970 when the store last answered.", picture.dcs_last_seen
    yield "patroni_pending_restart", "1 if a setting waits for a restart.", bool(picture.pending_restart)
    yield "patroni_is_paused", "1 if automatic actions are paused.", picture.pause


def _age(seen: Seen, now: Instant) -> Iterable[Row]:
    yield "hacore_picture_age_seconds", "How long ago the agent has last told what it sees.", max(0.0, now - seen.written_at)
    left_s = max(0.0, seen.lease_fence_at - now) if seen.lease_fence_at else 0.0
    yield "hacore_lease_remaining_seconds", "Time until the fence begins, 0 without a lease.", left_s


def _own(picture: Picture) -> Iterable[Row]:
    figures = picture.figures
    yield "hacore_fencing_token", "Fencing token of the lease that is held, 0 without one.", picture.token or 0
    yield "hacore_fence_armed", "1 if the guard is armed.", picture.fence_armed
    yield "hacore_fences", "Times that the guard has ended the server since the agent was started.", figures.fences
    yield "hacore_loop_turns", "Turns of the loop since the agent was started.", figures.turns
    if figures.turn_s is not None:
        yield "hacore_loop_duration_seconds", "Duration of the last turn.", figures.turn_s
    if figures.dcs_latency_s is not None:
        yield "hacore_dcs_latency_seconds", "Time of the store's last answer.", figures.dcs_latency_s
    yield "hacore_dcs_errors", "Calls to the store without an answer since the agent was started.", figures.dcs_errors
    yield "hacore_unsupported_settings", "Dynamic settings that this node ignores.", len(picture.unsupported)
    yield from ((f"hacore_backup_{name}", _BACKUPS[name], value) for name, value in picture.backups if name in _BACKUPS)


def _archive(state: ArchiveState | None) -> Iterable[Row]:
    """What is not known is not shown: 0 would look as if all were well."""
    if state is None:
        return
    is_own = state.identity is ArchiveIdentity.OWN
    yield "hacore_archive_own", "1 if the archive is known to be this cluster's.", is_own
    yield "hacore_archive_conflict", "1 if the archive is another cluster's: nothing is pushed.", state.identity is ArchiveIdentity.CONFLICT
    yield "hacore_archive_failing", "1 if this is the primary and its WAL cannot be pushed.", state.fault is not None
    yield "hacore_archive_broken_fetches", "Times that a fetch found the archive broken.", state.fetches_broken
    if state.ready_files is not None:
        yield "hacore_archive_ready_files", "Files that wait to be pushed.", state.ready_files
        yield "hacore_archive_oldest_ready_seconds", "For how long the oldest of them has waited.", state.oldest_ready_s or 0
    if state.pushed is not None:
        yield "hacore_archive_pushed_files", "Files that the server has pushed, as it counts.", state.pushed
    if state.failed is not None:
        yield "hacore_archive_failed_pushes", "Pushes that failed, as the server counts.", state.failed
    if state.last_segment is not None:
        yield "hacore_archive_gaps", "Ranges of segments that the archive lacks.", len(state.gaps)


def _counted(picture: Picture, labels: dict[str, str]) -> Iterable[Metric]:
    rules = GaugeMetricFamily("hacore_rule_answers", "How often each rule has decided.", labels=[*labels, "table", "rule"])
    for table, rule, count in picture.figures.rules:
        rules.add_metric([*labels.values(), table, rule], count)
    yield rules
    calls = GaugeMetricFamily("hacore_plugin_calls", "Calls of plugins by outcome.", labels=[*labels, "plugin", "hook", "outcome"])
    for plugin, hook, outcome, count in picture.figures.plugin_calls:
        calls.add_metric([*labels.values(), plugin, hook, outcome], count)
    yield calls


def _routers(picture: Picture, labels: dict[str, str], now: Instant) -> Iterable[Metric]:
    names = [*labels, "router"]
    age = GaugeMetricFamily("hacore_router_applied_age_seconds", "How long ago the outside was last made as it shall be.", labels=names)
    degraded = GaugeMetricFamily("hacore_router_degraded", "1 if the outside is not as it shall be.", labels=names)
    on_target = GaugeMetricFamily(
        "hacore_router_on_target", "1 if the outside leads writes to the leader, or nowhere without one.", labels=names
    )
    for name, _, problem, applied_at, _, is_on_target in picture.figures.routers:
        values = [*labels.values(), name]
        degraded.add_metric(values, problem is not None)
        if applied_at is not None:
            age.add_metric(values, max(0.0, now - applied_at))
        if is_on_target is not None:
            on_target.add_metric(values, is_on_target)
    yield from (age, degraded, on_target)


def _of_plugins(picture: Picture, labels: dict[str, str]) -> Iterable[Metric]:
    """What plugins tell of themselves; those of one name may differ in their labels."""
    families: dict[str, Metric] = {}
    for plugin, name, help_text, own, value in picture.figures.plugin_samples:
        full = f"hacore_plugin_{name}"
        families.setdefault(full, Metric(full, help_text, "gauge")).add_sample(full, {**labels, "plugin": plugin, **dict(own)}, value)
    yield from families.values()


def _version_number(version: str) -> int:
    return int("".join(f"{int(part):02d}" for part in version.split(".") if part.isdigit()) or "0")


def _state_number(picture: Picture, measured: Measured | None) -> int:
    is_unknown = picture.state not in STATES or (picture.state == "running" and measured is None)
    return -1 if is_unknown else STATES.index(picture.state)


def _epoch(text: str | None) -> float:
    if not text:
        return 0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0
