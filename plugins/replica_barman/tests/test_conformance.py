"""The kits of all three kinds on a Barman of their own, and with an ssh that misbehaves."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.hookspecs import ArchiveRequest, ReplicaRequest
from hacore.interfaces import Identity
from hacore.testing.conformance.archive import (
    ArchiveCases,
    ArchiveConformance,
    ArchiveIdentityConformance,
    ArchiveStatusConformance,
    Programs,
)
from hacore.testing.conformance.backup import BackupCases, BackupConformance, ExpiryConformance, VerificationConformance
from hacore.testing.conformance.plugin import CONTEXT, PluginUnderTest
from hacore.testing.conformance.replica import ReplicaCases, ReplicaConformance
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from hacore_replica_barman.plugin import BarmanPlugin
from plugins.replica_barman.tests.samples import first_page
from plugins.replica_barman.tests.sites import Site

pytestmark = [pytest.mark.timeout(600)]

OURS, OTHERS = "7000000000000000001", "7000000000000000002"


class Misbehaving:
    """Brings the fixture that every kit asks for: the subject with another ssh."""

    kind: str

    @pytest.fixture
    def misbehaving(self, site: Site, scratch: Path) -> Callable[[Misbehaviour], PluginUnderTest]:
        def subject(how: Misbehaviour) -> PluginUnderTest:
            directory = scratch / "misbehaving"
            directory.mkdir()
            misbehaving_tool(directory / "ssh", how)
            return site.subject(self.kind, ssh_dir=str(directory), query_timeout=2)

        return subject


class TestArchive(Misbehaving, ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance):
    kind = "archive"

    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject(self.kind)

    @pytest.fixture
    def cases(self, site: Site, scratch: Path) -> ArchiveCases:
        data = scratch / "data"
        (data / "pg_wal").mkdir(parents=True)
        identity = Identity(system_id=OURS, major_version=15, scope=CONTEXT.scope, timeline=1)
        request = ArchiveRequest(context=CONTEXT, identity=identity, data_dir=str(data), environment={"PATH": "/usr/bin:/bin"})

        def settle() -> None:
            settings = BarmanPlugin(site.subject(self.kind).load()).hacore_archive_settings(request)  # type: ignore[arg-type]
            assert Programs(settings, data).push("000000010000000000000001", first_page(OURS)) == 0

        stranger = replace(request, identity=replace(identity, system_id=OTHERS, scope="other"))
        return ArchiveCases(request=request, stranger=stranger, settle=settle, spoil=site.barman.spoil, mend=site.barman.mend)


class TestBackup(Misbehaving, BackupConformance, ExpiryConformance, VerificationConformance):
    kind = "backup"

    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject(self.kind)

    @pytest.fixture
    def cases(self, served: Site) -> BackupCases:
        numbers = itertools.count()
        return BackupCases(
            site=served.server.backup_site(),
            empty=lambda: served.new_directory(f"empty{next(numbers)}"),
            spoil=served.barman.spoil,
            mend=served.barman.mend,
        )


@pytest.mark.slow  # as by rsync
class TestBackupByStreaming(TestBackup):
    method = "streaming"


@pytest.mark.slow  # a backup for each test; a whole site makes a standby of one at each change: tests/sites
class TestReplica(ReplicaConformance):
    @pytest.fixture
    def subject(self, site: Site) -> PluginUnderTest:
        return site.subject("replica", threshold_backup_size_percentage=500)  # the data of a new server are little, a segment is much

    @pytest.fixture
    def cases(self, served: Site) -> ReplicaCases:
        served.make_backup()

        def request(name: str) -> ReplicaRequest:
            return served.server.replica_request("barman", served.new_directory(name))

        fails = replace(request("fails"), data_dir="/nowhere/to/be/found")
        return ReplicaCases(works=request("works"), fails=fails, lasts=request("lasts"))
