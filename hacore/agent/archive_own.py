"""An ``archive_command`` of a person's own, without a plugin: nothing is set or asked of it, but its failures are told."""

from typing import Final

from hacore.agent.archive_fault import LastingFault
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.postgres.archive_parameters import MODE
from hacore.postgres.archiver import archiver_facts, waiting
from hacore.postgres.instance import Instance

NAME: Final = "archive_command"
_OFF: Final = frozenset({"off", "false", "no", "0", ""})


def own_archiver(instance: Instance, fault: LastingFault, *, is_primary: bool) -> ArchiveState | None:
    """Return what the server of a primary says of its archiver; ``None``: it has none, or has not pushed anything yet."""
    if not is_primary or instance.wanted_parameters.get(MODE, "off").lower() in _OFF:
        fault.look()
        return None
    facts, ready = archiver_facts(instance), waiting(instance.layout.wal_dir)
    if facts is None or not facts.pushed + facts.failed:
        return None
    return ArchiveState(
        name=NAME,
        identity=ArchiveIdentity.OWN,  # nobody can be asked
        is_watched=True,
        fault=fault.look(failed=f"push of {facts.last_failed} failed" if facts.is_failing else None),
        ready_files=ready.files,
        oldest_ready_s=ready.oldest_s,
        pushed=facts.pushed,
        failed=facts.failed,
    )
