"""The kits of all three kinds, on a directory and in a bucket, and with a program that misbehaves."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.hookspecs import ArchiveRequest, ReplicaRequest
from hacore.interfaces import Identity
from hacore.testing.conformance.archive import ArchiveCases, ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance
from hacore.testing.conformance.backup import BackupCases, BackupConformance, ExpiryConformance, VerificationConformance
from hacore.testing.conformance.plugin import CONTEXT, PluginUnderTest
from hacore.testing.conformance.replica import ReplicaCases, ReplicaConformance
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from plugins.replica_walg.tests.samples import first_page
from plugins.replica_walg.tests.storages import Site, Storage

OURS, OTHERS = "7000000000000000001", "7000000000000000002"


class Misbehaving:
    """Brings the fixture that every kit asks for: the subject with another program."""

    kind: str

    @pytest.fixture
    def misbehaving(self, site: Site, scratch: Path) -> Callable[[Misbehaviour], PluginUnderTest]:
        return lambda how: site.subject(self.kind, binary=str(misbehaving_tool(scratch / "misbehaving", how)), query_timeout=2)


class TestArchive(Misbehaving, ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance):
    kind = "archive"

    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject(self.kind)

    @pytest.fixture
    def cases(self, site: Site, storage: Storage, scratch: Path) -> ArchiveCases:
        data = scratch / "data"
        (data / "pg_wal").mkdir(parents=True)
        identity = Identity(system_id=OURS, major_version=15, scope=CONTEXT.scope, timeline=1)
        request = ArchiveRequest(context=CONTEXT, identity=identity, data_dir=str(data), environment={"PATH": "/usr/bin:/bin"})

        def settle() -> None:
            path = data / "pg_wal" / "000000010000000000000001"
            path.write_bytes(first_page(OURS))
            done = site.call("wal-push", str(path))
            assert done.returncode == 0, done.stderr

        stranger = replace(request, identity=replace(identity, system_id=OTHERS, scope="other"))
        return ArchiveCases(request=request, stranger=stranger, settle=settle, spoil=storage.spoil, mend=storage.mend)


class TestArchiveInABucket(TestArchive):
    storage_kind = "s3"


class TestBackup(Misbehaving, BackupConformance, ExpiryConformance, VerificationConformance):
    kind = "backup"

    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject(self.kind)

    @pytest.fixture
    def cases(self, served: Site, storage: Storage) -> BackupCases:
        numbers = itertools.count()
        return BackupCases(
            site=served.server.backup_site(),
            empty=lambda: served.new_directory(f"empty{next(numbers)}"),
            spoil=storage.spoil,
            mend=storage.mend,
        )


@pytest.mark.slow  # as on a directory, each program a second longer; the archive's kit shows at each change that a bucket works
class TestBackupInABucket(TestBackup):
    storage_kind = "s3"


class TestReplica(ReplicaConformance):
    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject("replica", threshold_backup_size_percentage=500)  # the data of a new server are little, a segment is much

    @pytest.fixture
    def cases(self, served: Site) -> ReplicaCases:
        served.push_backup()

        def request(name: str) -> ReplicaRequest:
            return served.server.replica_request("walg", served.new_directory(name))

        fails = request("fails")
        (Path(fails.data_dir) / "left").write_text("wal-g fetches into an empty directory only")
        return ReplicaCases(works=request("works"), fails=fails, lasts=request("lasts"))


@pytest.mark.slow
class TestReplicaFromABucket(TestReplica):
    storage_kind = "s3"
