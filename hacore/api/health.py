"""Whether a health check passes (interface reference 4.1; safety.md I13). Pure: a picture, a path, its parameters and the time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.api.status import Measured, may_have_server
from hacore.convert import WrongValueError, size_bytes
from hacore.model.clock import Instant
from hacore.publish.snapshot import Seen

_FIRST_TURN_TTL_S: Final = 30.0  # until an agent has told its ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Everything that one answer rests on."""

    seen: Seen
    now: Instant
    measured: Measured | None  # fresh where a position counts, else of the picture
    query: Mapping[str, str] = field(default_factory=dict)  # first value of each parameter

    @property
    def is_leader(self) -> bool:
        """Tell whether this node holds the lease, before the fence begins."""
        return self.seen.holds_lease(self.now)

    @property
    def is_running(self) -> bool:
        """Tell whether the server runs and has answered."""
        picture = self.seen.picture
        return picture is not None and picture.state == "running" and self.measured is not None

    @property
    def role(self) -> str | None:
        """Measured; ``None`` where the server did not answer."""
        picture = self.seen.picture
        return self.measured.role if picture is not None and may_have_server(picture) and self.measured is not None else None

    @property
    def follows_role_only(self) -> bool:
        """In pause, without any view of the store, nobody can know more than what the server is."""
        picture = self.seen.picture
        return picture is not None and picture.pause and not picture.has_view


def passes(path: str, check: Check) -> bool:
    """Answer a health check other than ``/liveness`` and ``/readiness``. A stale picture is no basis for a yes."""
    rule = rule_for(path)
    return rule is not None and check.seen.is_fresh(check.now) and rule(check)


def needs_position(path: str, query: str) -> bool:
    """Tell whether a check rests on a position, which must be fresh. ``query`` is the text after the question mark."""
    return path in {"/readiness", "/metrics"} or path.startswith(("/readiness/", "/metrics/")) or "lag=" in query


def live(seen: Seen, now: Instant, started_at: Instant) -> bool:
    """Answer ``/liveness``: whether the loop still turns. Until its first turn it has twice the usual ttl."""
    picture = seen.picture
    if picture is None:
        return now < started_at + 2 * _FIRST_TURN_TTL_S
    if picture.pause:
        return True
    patience_s = picture.ttl_s if picture.running and picture.role == "primary" else 2 * picture.ttl_s
    return now < picture.next_run + patience_s


def ready(check: Check) -> bool:
    """Answer ``/readiness``: the leader, or a standby that streams and is not too far behind."""
    picture = check.seen.picture
    if picture is None or not check.seen.is_fresh(check.now):
        return False
    if check.is_leader:
        return True
    measured = check.measured
    if not check.is_running or measured is None or not measured.in_recovery:
        return check.is_running and picture.has_view
    if not picture.has_view and not picture.failsafe_active and measured.latest_end is None:
        return False
    position = measured.received if check.query.get("mode") == "write" else measured.replayed
    limit = picture.maximum_lag_on_failover if "lag" not in check.query else _size(check.query["lag"])
    return measured.replication_state == "streaming" and not _lags(check, position, limit)


def rule_for(path: str) -> Callable[[Check], bool] | None:
    """Find the rule by the parts of the path, in the field's order; ``None``: there is no such check."""
    if path == "/":
        return primary
    for needles, rule in _BY_PART:
        if any(needle in path for needle in needles):
            return rule
    if "read-only" in path and "sync" not in path and "quorum" not in path:
        return read_only
    return health if "health" in path else _BY_NAME.get(path.strip("/"))


def primary(check: Check) -> bool:
    """The leader of a cluster of its own."""
    picture = check.seen.picture
    if check.follows_role_only:
        return check.is_running and check.role == "primary"
    return check.is_leader and picture is not None and not picture.standby_cluster


def leader(check: Check) -> bool:
    """The leader of any cluster."""
    if check.follows_role_only:
        return check.is_running and check.role == "primary"
    return check.is_leader


def standby_leader(check: Check) -> bool:
    """The leader of a cluster that follows another one."""
    picture = check.seen.picture
    return check.is_leader and picture is not None and picture.standby_cluster and check.role == "replica"


def replica(check: Check) -> bool:
    """A standby that may be read from."""
    picture = check.seen.picture
    if picture is None or not check.is_running or check.role != "replica" or not _tags_match(check):
        return False
    if picture.standby_cluster and check.is_leader:
        return False
    return not picture.noloadbalance and not _lags(check, check.measured.replayed if check.measured else None, _lag_limit(check))


def read_only(check: Check) -> bool:
    """Any server that may be read from."""
    return (_any_primary(check) and _tags_match(check)) or replica(check)


def health(check: Check) -> bool:
    """The server runs."""
    return check.is_running and _tags_match(check)


def synchronous(check: Check) -> bool:
    """A standby whose copy every commit waits for."""
    picture = check.seen.picture
    return picture is not None and picture.has_view and picture.sync_standby and replica(check)


def quorum(check: Check) -> bool:
    """A standby of the group that every commit waits for some of."""
    picture = check.seen.picture
    return picture is not None and picture.has_view and picture.quorum_standby and replica(check)


def asynchronous(check: Check) -> bool:
    """A standby that no commit waits for."""
    picture = check.seen.picture
    return picture is not None and not picture.sync_standby and not picture.quorum_standby and replica(check)


def read_only_synchronous(check: Check) -> bool:
    """A server that has every commit."""
    return (_any_primary(check) and _tags_match(check)) or synchronous(check)


def read_only_quorum(check: Check) -> bool:
    """A server that may have every commit."""
    return (_any_primary(check) and _tags_match(check)) or quorum(check)


_BY_PART: Final = (
    (("standby_leader", "standby-leader"), standby_leader),
    (("leader",), leader),
    (("master", "primary", "read-write"), primary),
    (("replica",), replica),
)
_BY_NAME: Final[Mapping[str, Callable[[Check], bool]]] = {
    "sync": synchronous,
    "synchronous": synchronous,
    "quorum": quorum,
    "async": asynchronous,
    "asynchronous": asynchronous,
    "read-only-sync": read_only_synchronous,
    "read-only-synchronous": read_only_synchronous,
    "read-only-quorum": read_only_quorum,
}


def _any_primary(check: Check) -> bool:
    return primary(check) or standby_leader(check)


def _tags_match(check: Check) -> bool:
    wanted = {name.removeprefix("tag_"): value for name, value in check.query.items() if name.startswith("tag_")}
    if not wanted:
        return True
    tags = dict(check.seen.picture.tags) if check.seen.picture else {}
    return all(name in tags and _tag_text(tags[name]) == _wanted_text(tags[name], value) for name, value in wanted.items())


def _tag_text(value: str | float | bool) -> str:  # noqa: FBT001 - a tag is one of these
    return value if isinstance(value, str) else str(value).lower()


def _wanted_text(tag: str | float | bool, value: str) -> str:  # noqa: FBT001 - a tag is one of these
    return value if isinstance(tag, str) else value.lower()


def _lag_limit(check: Check) -> int | None:
    return _size(check.query["lag"]) if "lag" in check.query else None


def _size(text: str) -> int | None:
    try:
        return size_bytes(text)
    except WrongValueError:
        return None  # what cannot be read limits nothing


def _lags(check: Check, position: int | None, limit: int | None) -> bool:
    picture, measured = check.seen.picture, check.measured
    if limit is None or picture is None:
        return False
    ahead = [one for one in (picture.optime, measured.latest_end if measured else None) if one is not None]
    return bool(ahead) and max(ahead) > (position or 0) + limit
