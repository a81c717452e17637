from datetime import UTC, datetime

import pytest

from hacore.backup.target import parse_target, recovery_settings
from hacore.convert import WrongValueError
from hacore.model.lsn import Lsn
from hacore.model.recovery import RecoveryTarget, TargetAction, TargetKind


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("latest", RecoveryTarget()),
        ("immediate", RecoveryTarget(kind=TargetKind.IMMEDIATE)),
        ("2026-05-04T03:02:01+02:00", RecoveryTarget(kind=TargetKind.TIME, time=datetime(2026, 5, 4, 1, 2, 1, tzinfo=UTC))),
        ("time:2026-05-04 01:02:01Z", RecoveryTarget(kind=TargetKind.TIME, time=datetime(2026, 5, 4, 1, 2, 1, tzinfo=UTC))),
        ("0/3000060", RecoveryTarget(kind=TargetKind.LSN, lsn=Lsn(0x3000060))),
        ("lsn:1A/0", RecoveryTarget(kind=TargetKind.LSN, lsn=Lsn(0x1A << 32))),
        ("2026-05-04 03:02:01 UTC", RecoveryTarget(kind=TargetKind.TIME, time=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC))),
        ("xid:731", RecoveryTarget(kind=TargetKind.XID, xid=731)),
        ("name:before the release", RecoveryTarget(kind=TargetKind.NAME, name="before the release")),
    ],
)
def test_a_target_is_read_as_people_write_it(text: str, target: RecoveryTarget) -> None:
    assert parse_target(f" {text} ") == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-05-04 03:02:01",  # nobody can know when
        "2026-05-04",
        "2026-13-04T00:00:00Z",
        "lsn:16",
        "0/123456789",
        "xid:0",
        "xid:-1",
        "xid:x",
        "xid:" + "9" * 30,
        "name:",
        "name:" + "x" * 64,
        "name:a\nb",
        "LATEST;",
        "0001-01-01T00:00+14:00",
        "immediate:now",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(WrongValueError):
        parse_target(text)


@pytest.mark.parametrize(("text", "read"), [("latest", "latest"), ("current", "current"), ("07", "7")])
def test_a_timeline_is_latest_or_current_or_a_number(text: str, read: str) -> None:
    assert parse_target("latest", timeline=text).timeline == read


@pytest.mark.parametrize("text", ["0", "-1", "newest", "99999999999", ""])
def test_what_is_no_timeline_is_refused(text: str) -> None:
    with pytest.raises(WrongValueError):
        parse_target("latest", timeline=text)


def test_settings_say_the_target_in_utc_and_nothing_of_other_kinds() -> None:
    target = parse_target("2026-05-04T03:02:01.25+02:00", inclusive=False, action=TargetAction.PAUSE)
    assert recovery_settings(target, timeline=4) == {
        "recovery_target_time": "2026-05-04 01:02:01.250000+00",
        "recovery_target_timeline": "4",
        "recovery_target_inclusive": "off",
        "recovery_target_action": "pause",
    }


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("0/3000060", "recovery_target_lsn", "0/3000060"),
        ("xid:731", "recovery_target_xid", "731"),
        ("name:a", "recovery_target_name", "a"),
        ("immediate", "recovery_target", "immediate"),
    ],
)
def test_each_kind_has_its_setting(text: str, name: str, value: str) -> None:
    assert recovery_settings(parse_target(text))[name] == value


def test_latest_is_no_target_at_all() -> None:
    assert not {name for name in recovery_settings(RecoveryTarget()) if name in {"recovery_target", "recovery_target_time"}}


@pytest.mark.parametrize("text", ["latest", "immediate", "2026-05-04T01:02:01+00:00", "lsn:0/3000060", "xid:731", "name:a"])
def test_a_target_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_target(text)) == text
    assert parse_target(str(parse_target(text))) == parse_target(text)
