"""When the next backup, or check of one, is due. Wall-clock time: schedules are people's (safety.md 3.2)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from hacore.convert import WrongValueError, word

BACK_OFF_S: Final = (300.0, 900.0, 3600.0)  # after the first, second and third failure in a row; then the schedule's next time
_CLOCK_CHANGE: Final = timedelta(hours=2)  # longer than any: on the clock, a time that has come may lie ahead of now by so much


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Cron's five fields in a time zone. ``jitter_s``: each time is late by up to this, the same on every node."""

    expression: str
    timezone: str = "UTC"
    jitter_s: float = 0.0
    salt: str = ""  # so that clusters with one schedule do not all begin at once: the scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How the newest attempt ended; ``failures`` in a row, this one included."""

    ended_at: datetime
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Now."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Not before ``until``."""

    until: datetime


def cron(value: object) -> str:
    """Accept cron's five fields.

    :raises WrongValueError: they are none, or never come true.
    """
    text = " ".join(word(value).split())
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - only where something is scheduled

    wanted = "a cron expression of five fields, like 0 3 * * *"
    if len(text.split()) != 5:  # noqa: PLR2004 - five fields: seconds are not cron's
        raise WrongValueError(wanted)
    try:
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001 - whether it ever comes true depends on no zone
    except (CronSimError, StopIteration) as error:
        raise WrongValueError(wanted) from error
    return text


def zone(value: object) -> str:
    """Accept the name of a time zone.

    :raises WrongValueError: the machine does not know it.
    """
    text = word(value).strip()
    try:
        _zone(text)
    except (LookupError, ValueError, OSError) as error:
        raise WrongValueError("a time zone that this machine knows, like UTC or Europe/Berlin") from error
    return text


def last_due(schedule: Schedule, now: datetime) -> datetime | None:
    """Return the newest time of the schedule, lateness included, that has come."""
    from cronsim import CronSim  # noqa: PLC0415 - the same

    times = CronSim(schedule.expression, _local(schedule, now + _CLOCK_CHANGE), reverse=True)
    for at in times:
        if (late := _late(schedule, at)) <= now:
            return late
        if now - at.astimezone(UTC) > timedelta(seconds=schedule.jitter_s, minutes=1):
            break
    return None


def next_due(schedule: Schedule, now: datetime) -> datetime | None:
    """Return the first time of the schedule, lateness included, that has yet to come."""
    from cronsim import CronSim  # noqa: PLC0415 - the same

    for at in CronSim(schedule.expression, _local(schedule, now - timedelta(seconds=schedule.jitter_s, minutes=1))):
        if (late := _late(schedule, at)) > now:
            return late
    return None


def when(schedule: Schedule, *, now: datetime, done_at: datetime | None, attempt: Attempt | None = None) -> Due | Waits | None:
    """Tell whether it is due. Whoever leads now catches up once on what was missed, from what was done and nothing else.

    :param done_at: when the newest one that succeeded was begun.
    :param attempt: the newest attempt; one that failed is repeated after a while, three times.
    :returns: ``None``: never.
    """
    due, upcoming = last_due(schedule, now), next_due(schedule, now)
    later = None if upcoming is None else Waits(until=upcoming)
    if due is None or (done_at is not None and done_at >= due):
        return later
    if attempt is None or attempt.failures == 0 or attempt.ended_at < due:
        return Due(reason=f"scheduled for {due.isoformat()}")
    if attempt.failures > len(BACK_OFF_S):
        return later
    again = attempt.ended_at + timedelta(seconds=BACK_OFF_S[attempt.failures - 1])
    if again <= now:
        return Due(reason=f"attempt {attempt.failures + 1} after a failure")
    return Waits(until=again if upcoming is None else min(again, upcoming))


def _local(schedule: Schedule, now: datetime) -> datetime:
    """Return the wall clock's minute at a moment: what is added to it or taken away afterwards would not be of elapsed time."""
    return now.astimezone(_zone(schedule.timezone)).replace(second=0, microsecond=0)


def _zone(name: str) -> tzinfo:
    """Return a zone; UTC also on a machine without a database of zones."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - a library that a node without such a schedule does without

    return ZoneInfo(name)


def _late(schedule: Schedule, at: datetime) -> datetime:
    """Be late by a fraction of the jitter that follows from cluster and time. In UTC: an hour that a zone repeats cannot be compared."""
    at = at.astimezone(UTC)
    digest = hashlib.sha256(f"{schedule.salt} {at.isoformat()}".encode()).digest()
    return at + timedelta(seconds=schedule.jitter_s * int.from_bytes(digest[:4]) / (1 << 32))
