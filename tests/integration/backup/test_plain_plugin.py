"""The plugin that the other tests of backups use is a good one: it passes the kit that every backup plugin must pass."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hacore.testing.conformance.backup import BackupCases, BackupConformance, ExpiryConformance, VerificationConformance
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from hacore.testing.postgres import PlainServer, plain_server
from tests.integration.backup.installing import install


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    with plain_server() as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(install(tmp_path_factory.mktemp("plugin")))
        yield


class TestPlain(BackupConformance, ExpiryConformance, VerificationConformance):
    @pytest.fixture
    def repository(self, scratch: Path) -> Path:
        path = scratch / "repository"
        path.mkdir()
        return path

    @pytest.fixture
    def subject(self, repository: Path) -> PluginUnderTest:
        return PluginUnderTest(kind="backup", name="plain", section={"directory": str(repository)})

    @pytest.fixture
    def cases(self, server: PlainServer, repository: Path, scratch: Path) -> BackupCases:
        aside = repository.with_name("aside")

        def empty() -> Path:
            path = scratch / uuid4().hex
            path.mkdir()
            return path

        def spoil() -> None:
            repository.rename(aside)

        def mend() -> None:
            aside.rename(repository)

        return BackupCases(site=server.backup_site(), empty=empty, spoil=spoil, mend=mend)

    @pytest.fixture
    def misbehaving(self, repository: Path, scratch: Path) -> Callable[[Misbehaviour], PluginUnderTest]:
        def made(how: Misbehaviour) -> PluginUnderTest:
            section = {"directory": str(repository), "tool": [str(misbehaving_tool(scratch / how, how))]}
            return PluginUnderTest(kind="backup", name="plain", section=section)

        return made
