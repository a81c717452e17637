from typing import Any

import pytest

from hacore.config.schemas.bootstrap import bootstrap_method
from hacore.convert import WrongValueError
from hacore.model.lsn import Lsn
from hacore.model.recovery import RecoveryTarget, TargetKind


def test_a_section_with_a_plugin_and_no_command_restores_a_backup() -> None:
    section = {
        "plugin": "walg",
        "to": "0/3000000",
        "inclusive": False,
        "timeline": 3,
        "backup": "base_1",
        "source": {"prefix": "s3://other"},
        "tablespaces": {"/there": "/here"},
    }
    restore = bootstrap_method("copy", section).restore
    assert restore is not None
    assert (restore.plugin, restore.backup, restore.source) == ("walg", "base_1", {"prefix": "s3://other"})
    assert restore.tablespaces == {"/there": "/here"}
    assert restore.target == RecoveryTarget(kind=TargetKind.LSN, lsn=Lsn(0x3000000), inclusive=False, timeline="3")


def test_the_newest_is_restored_to_the_end_by_default() -> None:
    restore = bootstrap_method("copy", {"plugin": "walg"}).restore
    assert restore is not None
    assert (restore.target, restore.backup, restore.source) == (RecoveryTarget(), None, {})


def test_a_method_with_a_command_is_the_script_that_it_always_was() -> None:
    method = bootstrap_method("copy", {"command": "/bin/x", "plugin": "walg"})
    assert (method.restore, method.command, method.options) == (None, "/bin/x", {"plugin": "walg"})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"to": "2030-01-31 09:55"}, "to"),
        ({"to": "soon"}, "to"),
        ({"timeline": "newest"}, "to"),
        ({"inclusive": "maybe"}, "inclusive"),
        ({"source": "s3://other"}, "source"),
        ({"until": "latest"}, "until"),
        ({"tablespaces": {"/there": "here"}}, "tablespaces"),
        ({"tablespaces": "/here"}, "tablespaces"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(WrongValueError) as wrong:
        bootstrap_method("copy", {"plugin": "walg", **change})
    assert (key,) in wrong.value.parts
