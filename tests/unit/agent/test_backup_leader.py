"""What a leader asks its archive for, while somebody waits."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hacore.agent.backup_leader import BackupLeader
from hacore.model.clock import BootClock
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch


def test_an_archive_that_never_answers_has_no_history_of_a_branch(tmp_path: Path) -> None:
    def history(command: str) -> TimelineHistory | None:
        instance = SimpleNamespace(
            layout=SimpleNamespace(wal_dir=tmp_path, state_dir=tmp_path, data_dir=tmp_path),
            writing=nullcontext(),
            plan=lambda *_, **__: SimpleNamespace(recovery={"restore_command": command}),
            server_environment=dict[str, str],
        )
        tool: Any = SimpleNamespace(instance=instance)
        return BackupLeader(store=cast("Any", None), tool=tool, completion=cast("Any", None), clock=BootClock(), new_id=str).history_of(7)

    branch = TimelineHistory(timeline=7, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(0x5000000), reason="why"),))
    assert history("printf '1\\t0/5000000\\twhy\\n' > %p") == branch
    assert history("sleep 600") is None
    assert not list(tmp_path.iterdir())
