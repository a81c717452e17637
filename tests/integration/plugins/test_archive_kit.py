"""An archive plugin of somebody else's passes the kit."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.hookspecs import ArchiveRequest, PluginContext
from hacore.interfaces import Identity
from hacore.model.clock import BootClock
from hacore.testing.conformance.archive import ArchiveCases, ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from tests.integration.plugins.archive_in_a_directory import NAME, DirectoryArchive, install_distribution


class TestDirectoryArchive(ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance):
    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.syspath_prepend(str(install_distribution(tmp_path / "site")))
        yield
        sys.modules.pop("hacore_archive_directory", None)

    @pytest.fixture
    def store(self, tmp_path: Path) -> DirectoryArchive:
        return DirectoryArchive(tmp_path)

    @pytest.fixture
    def subject(self, store: DirectoryArchive) -> PluginUnderTest:
        return PluginUnderTest(kind="archive", name=NAME, section=store.section)

    @pytest.fixture
    def cases(self, store: DirectoryArchive, tmp_path: Path) -> ArchiveCases:
        (tmp_path / "data" / "pg_wal").mkdir(parents=True)
        context = PluginContext(scope="demo", namespace="/service", member="a", clock=BootClock())
        own = ArchiveRequest(
            context=context, identity=Identity(system_id="71", major_version=15, scope="demo"), data_dir=str(tmp_path / "data")
        )
        return ArchiveCases(
            request=own,
            stranger=replace(own, identity=Identity(system_id="72", major_version=15, scope="other")),
            settle=lambda: store.say("owner", "71/15/demo\n"),
            spoil=lambda: store.say("broken"),
            mend=store.mend,
        )

    @pytest.fixture
    def misbehaving(self, store: DirectoryArchive, tmp_path: Path) -> Callable[[Misbehaviour], PluginUnderTest]:
        def made(how: Misbehaviour) -> PluginUnderTest:
            tool = str(misbehaving_tool(tmp_path / "bad", how))
            return PluginUnderTest(kind="archive", name=NAME, section={**store.section, "tool": tool})

        return made
