"""``barman-cloud-*`` on S3: the kits, and what they would get wrong alone."""

import itertools
import os
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, BackupRequest, BackupSite, ListBackups, ReplicaRequest
from hacore.interfaces import ArchiveConflict, Backup, Identity
from hacore.model.lsn import Lsn
from hacore.postgres.job import JobHandle
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
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from hacore.testing.moto import Moto
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, work_directory
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.schema import BarmanSchema
from plugins.replica_barman.tests.samples import first_page

pytestmark = [pytest.mark.timeout(600)]

OURS, OTHERS = "7000000000000000001", "7000000000000000002"
PROGRAMS = ("wal-archive", "wal-restore", "check-wal-archive", "backup", "backup-list", "backup-delete", "restore")
PATIENCE_S = 300.0
KIT_GAVE_UP = 124  # what timeout(1) says


@pytest.fixture(scope="module")
def proxy() -> Iterator[TcpProxy]:
    with work_directory("moto-") as directory, Moto(directory.path) as moto, TcpProxy(("127.0.0.1", moto.port)) as found:
        moto.make_bucket("wal")
        yield found


@dataclass(kw_only=True)
class Bucket:
    """A prefix of a bucket, behind a proxy."""

    proxy: TcpProxy
    url: str
    directory: Path

    def section(self, **more: object) -> dict[str, object]:
        environment = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        cloud = {
            "url": self.url,
            "endpoint_url": f"http://{self.proxy.endpoint}",
            "options": ["--read-timeout", "5"],
            "environment": environment,
            **more,
        }
        return {"server": "main", "cloud": cloud, "threshold_backup_size_percentage": 500}

    def plugin(self, **more: object) -> BarmanPlugin:
        return BarmanPlugin(BarmanSchema().load(self.section(**more)))

    def spoil(self) -> None:
        self.proxy.set(Fault(refuse=True))

    def mend(self) -> None:
        self.proxy.set(Fault())

    def new_directory(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(mode=0o700)
        return path


@pytest.fixture
def bucket(proxy: TcpProxy, scratch: Path) -> Bucket:
    return Bucket(proxy=proxy, url=f"s3://wal/{uuid.uuid4()}", directory=scratch)


@pytest.fixture
def asked(scratch: Path) -> ArchiveRequest:
    data = scratch / "data"
    (data / "pg_wal").mkdir(parents=True)
    identity = Identity(system_id=OURS, major_version=15, scope=CONTEXT.scope, timeline=1)
    return ArchiveRequest(context=CONTEXT, identity=identity, data_dir=str(data), environment={"PATH": os.defpath})


@pytest.fixture
def served(archiving: PlainServer, bucket: Bucket) -> PlainServer:
    """The server, archiving into the bucket from now on."""
    settings = bucket.plugin().hacore_archive_settings(archiving.archive_request())
    words = " ".join({"%p": '"$1"', "%f": '"$2"'}.get(word) or shlex.quote(word) for word in settings.push)
    draft = archiving.directory / "archive.draft"
    draft.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.environment) + f"exec {words}\n")
    give_away(draft)
    draft.replace(archiving.directory / "archive.env")
    name = archiving.switch_wal()
    last = "SELECT last_archived_wal FROM pg_stat_archiver"
    wait_for(lambda: (archiving.query(last)[0][0] or "") >= name, f"{name} is archived", deadline_s=PATIENCE_S)
    return archiving


class Misbehaving:
    kind: str

    @pytest.fixture
    def subject(self, bucket: Bucket) -> PluginUnderTest:
        return PluginUnderTest(kind=self.kind, name="barman", section=bucket.section())

    @pytest.fixture
    def misbehaving(self, bucket: Bucket, scratch: Path) -> Callable[[Misbehaviour], PluginUnderTest]:
        def made(how: Misbehaviour) -> PluginUnderTest:
            directory = scratch / "misbehaving"
            directory.mkdir()
            for name in PROGRAMS:
                misbehaving_tool(directory / f"barman-cloud-{name}", how)
            section = {**bucket.section(bin_dir=str(directory)), "query_timeout": 2}
            return PluginUnderTest(kind=self.kind, name="barman", section=section)

        return made


class TestArchive(Misbehaving, ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance):
    kind = "archive"

    @pytest.fixture
    def cases(self, bucket: Bucket, asked: ArchiveRequest) -> ArchiveCases:
        def settle() -> None:
            assert programs(bucket, asked).push("000000010000000000000001", first_page(OURS)) == 0

        stranger = replace(asked, identity=replace(asked.identity, system_id=OTHERS, scope="other"))
        return ArchiveCases(request=asked, stranger=stranger, settle=settle, spoil=bucket.spoil, mend=bucket.mend)


@pytest.mark.slow  # each program takes a second to start; the archive's kit shows at each change that a bucket works
class TestBackup(Misbehaving, BackupConformance, ExpiryConformance, VerificationConformance):
    kind = "backup"

    @pytest.fixture
    def cases(self, served: PlainServer, bucket: Bucket) -> BackupCases:
        numbers = itertools.count()
        return BackupCases(
            site=served.backup_site(), empty=lambda: bucket.new_directory(f"empty{next(numbers)}"), spoil=bucket.spoil, mend=bucket.mend
        )


@pytest.mark.slow
class TestReplica(ReplicaConformance):
    @pytest.fixture
    def subject(self, bucket: Bucket) -> PluginUnderTest:
        return PluginUnderTest(kind="replica", name="barman", section=bucket.section())

    @pytest.fixture
    def cases(self, served: PlainServer, bucket: Bucket) -> ReplicaCases:
        made = bucket.plugin().hacore_backup(BackupRequest(site=served.backup_site()), JobHandle())
        assert isinstance(made, Backup), made
        ((lsn,),) = served.query("SELECT pg_current_wal_lsn()")

        def request(name: str) -> ReplicaRequest:
            return ReplicaRequest(
                context=CONTEXT, method="barman", source=None, data_dir=str(bucket.new_directory(name)), system_id=served.system_id,
                major_version=served.major_version, leader_lsn=Lsn.parse(lsn), environment={"PATH": os.defpath},
            )  # fmt: skip

        fails = request("fails")
        (Path(fails.data_dir) / "left").write_text("barman-cloud-restore fills an empty directory only")
        return ReplicaCases(works=request("works"), fails=fails, lasts=request("lasts"))


def programs(bucket: Bucket, asked: ArchiveRequest) -> Programs:
    return Programs(bucket.plugin().hacore_archive_settings(asked), Path(asked.data_dir))


def test_a_bucket_that_is_not_there_is_broken_and_is_not_made(bucket: Bucket, asked: ArchiveRequest) -> None:
    nowhere = replace(bucket, url="s3://misspelt/main")
    found = programs(nowhere, asked)
    assert found.fetch("000000010000000000000001")[0] not in {0, 1}
    assert found.push("000000010000000000000001", first_page(OURS)) not in {0, 3}
    with pytest.raises(PluginUnavailableError):
        nowhere.plugin().hacore_list_backups(ListBackups(site=backup_site(asked)))


def test_what_was_left_at_a_promotion_is_not_taken_for_the_segment(bucket: Bucket, asked: ArchiveRequest) -> None:
    found, name = programs(bucket, asked), "000000010000000000000001"
    wait_for(lambda: found.push(f"{name}.partial", first_page(OURS)) == 0, "it is taken", deadline_s=PATIENCE_S)
    assert wait_for(lambda: (answer := found.fetch(name))[0] != KIT_GAVE_UP and answer, "an answer", deadline_s=PATIENCE_S) == (1, b"")
    wait_for(lambda: found.push(name, first_page(OURS)) == 0, "it is taken", deadline_s=PATIENCE_S)


def test_wal_without_a_backup_that_nobody_here_knows_is_a_conflict(bucket: Bucket, asked: ArchiveRequest) -> None:
    assert programs(bucket, asked).push("000000010000000000000001", first_page(OTHERS)) == 0
    assert isinstance(identity(bucket, asked), ArchiveConflict)
    (Path(asked.data_dir) / "pg_wal" / "000000010000000000000001").unlink()
    assert isinstance(identity(bucket, asked), ArchiveConflict)


def identity(bucket: Bucket, asked: ArchiveRequest) -> object:
    """Ask until there is an answer, as the core does: three programs may take longer than a question may last."""

    def ask() -> object:
        try:
            return bucket.plugin().hacore_archive_identity(asked)
        except PluginUnavailableError:
            return None

    return wait_for(ask, "whose it is", deadline_s=PATIENCE_S)


def backup_site(asked: ArchiveRequest) -> BackupSite:
    return BackupSite(context=asked.context, environment=asked.environment)
