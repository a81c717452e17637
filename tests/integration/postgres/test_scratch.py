"""A copy beside a server that is started to be looked at: what it takes for a fault of the copy, and what for one of the archive."""

from pathlib import Path

import pytest

from hacore.errors import FoundBadError, HacoreError
from hacore.model.steps import CreateReplica
from hacore.postgres.job import JobHandle
from hacore.postgres.scratch import look_into
from tests.integration.plugins.archive_in_a_directory import DirectoryArchive
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.test_archive import archived_primary, fill, until
from tests.integration.postgres.test_replication import without_wal


@pytest.fixture
def store(directory: Path) -> DirectoryArchive:
    return DirectoryArchive(directory)


def test_a_copy_is_bad_only_where_the_archive_has_answered(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    fill(node, 1)
    beside = make_node("b")
    beside.create_replica = without_wal  # the archive alone can make it consistent
    beside.do(CreateReplica(leader="a", source="a", system_id=node.read().system_id))
    last = fill(node, 2)[-1]
    until(lambda: last in store.names(), "what the copy needs is archived")

    def look(restore_command: str | None) -> object:
        return look_into(beside.instance, JobHandle(), beside.data_dir, restore_command=restore_command)

    with pytest.raises(HacoreError, match="could not restore file") as away:
        look("exit 126")
    with pytest.raises(HacoreError, match="knows no archive") as unknown:
        look(None)
    assert not {type(away.value), type(unknown.value)} & {FoundBadError}
    with pytest.raises(FoundBadError):
        look("exit 1")  # it has no such file
    assert look(f"cp {store.wal}/%f %p")
