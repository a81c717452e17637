# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for WAL archives, against the real tool: the programs that a plugin names are run as the core's shim runs them."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ArchiveRequest
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus
from hacore.plugins.registry import Plugin
from hacore.testing.conformance.plugin import PluginConformance, PluginUnderTest, built
from hacore.testing.faults.tool import Misbehaviour

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_LIMIT_S: Final = 120.0  # a busy machine starts an interpreter slowly
_HOOK_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCases:
    """An archive in which nothing is yet. ``data_dir`` of the request exists and has ``pg_wal``."""

    request: ArchiveRequest
    stranger: ArchiveRequest  # of another cluster
    settle: Callable[[], None]  # make the archive this cluster's, as its first backup or segment does
    spoil: Callable[[], None]  # the repository cannot be read any more
    mend: Callable[[], None]


class ArchiveConformance(PluginConformance):
    """Everything that the core rests on with an archive.

    The subclass brings ``subject``, ``cases``, and ``misbehaving``: the subject with a tool that misbehaves. It adds the classes below for
    the hooks that the plugin has.
    """

    @pytest.fixture
    def archive(self, plugin: Plugin, cases: ArchiveCases) -> "Programs":
        return Programs(settings_of(plugin, cases.request), Path(cases.request.data_dir))

    def test_it_is_tried_with_every_hook_that_it_has(self, plugin: Plugin) -> None:
        assert isinstance(self, ArchiveIdentityConformance) == plugin.calls.has("hacore_archive_identity")
        assert isinstance(self, ArchiveStatusConformance) == plugin.calls.has("hacore_archive_status")

    def test_a_segment_comes_back_as_it_was(self, archive: "Programs") -> None:
        content = os.urandom(SEGMENT_BYTES)
        assert archive.push("000000010000000000000001", content) == 0
        assert archive.fetch("000000010000000000000001") == (0, content)

    def test_the_same_segment_may_be_pushed_again(self, archive: "Programs") -> None:
        content = os.urandom(SEGMENT_BYTES)
        assert [archive.push("000000010000000000000002", content) for _ in range(2)] == [0, 0]
        assert archive.fetch("000000010000000000000002") == (0, content)

    def test_another_segment_of_the_same_name_is_refused_and_the_first_stays(self, archive: "Programs") -> None:
        first = os.urandom(SEGMENT_BYTES)
        assert archive.push("000000010000000000000003", first) == 0
        code, conflicts = archive.push("000000010000000000000003", os.urandom(SEGMENT_BYTES)), archive.settings.conflict_codes
        assert code not in {0, *range(126, 256)}
        assert not conflicts or code in conflicts
        assert archive.fetch("000000010000000000000003") == (0, first)

    def test_a_history_file_comes_back_and_is_never_overwritten_by_another(self, archive: "Programs") -> None:
        assert archive.push("00000002.history", b"1\t0/3000000\tno recovery target specified\n") == 0
        assert archive.push("00000002.history", b"1\t0/4000000\tno recovery target specified\n") != 0
        assert archive.fetch("00000002.history") == (0, b"1\t0/3000000\tno recovery target specified\n")

    @pytest.mark.parametrize("name", ["000000010000000000000009", "00000009.history"])
    def test_what_was_never_pushed_is_missing(self, archive: "Programs", name: str) -> None:
        code, content = archive.fetch(name)
        assert code in archive.settings.missing_codes
        assert not content

    def test_a_repository_that_cannot_be_read_is_not_an_end_of_wal(self, archive: "Programs", cases: ArchiveCases) -> None:
        assert archive.push("000000010000000000000004", os.urandom(SEGMENT_BYTES)) == 0
        cases.spoil()
        try:
            for name in ("000000010000000000000004", "000000010000000000000005"):
                code, content = archive.fetch(name)
                assert code not in {0, *archive.settings.missing_codes}
                assert not content
        finally:
            cases.mend()
        assert archive.fetch("000000010000000000000004")[0] == 0

    def test_its_settings_do_not_ask_the_repository(self, plugin: Plugin, cases: ArchiveCases) -> None:
        cases.spoil()
        try:
            assert settings_of(plugin, cases.request) == settings_of(plugin, cases.request)
        finally:
            cases.mend()

    def test_its_programs_are_named_by_absolute_paths(self, archive: "Programs") -> None:
        assert [os.path.isabs(argv[0]) for argv in (archive.settings.push, archive.settings.fetch)] == [True, True]  # noqa: PTH117
        assert "%p" in " ".join(archive.settings.push)
        assert all(mark in " ".join(archive.settings.fetch) for mark in ("%f", "%p"))

    @pytest.mark.parametrize("how", list(Misbehaviour))
    def test_its_settings_do_not_ask_a_tool_that_misbehaves(
        self, misbehaving: Callable[[Misbehaviour], PluginUnderTest], cases: ArchiveCases, how: Misbehaviour
    ) -> None:  # fmt: skip
        with built(misbehaving(how)) as plugin:
            settings = settings_of(plugin, cases.request)
            assert settings.push_limit_s > 0
            assert settings.fetch_limit_s > 0


class ArchiveIdentityConformance:
    """What an archive adds that tells whose it is (``hacore_archive_identity``)."""

    def test_it_knows_its_own_and_refuses_to_mix_two_clusters(self, plugin: Plugin, cases: ArchiveCases) -> None:
        assert isinstance(identity_of(plugin, cases.request), ArchiveEmpty)
        cases.settle()
        assert isinstance(identity_of(plugin, cases.request), ArchiveOwned)
        assert isinstance(identity_of(plugin, cases.stranger), ArchiveConflict)

    def test_an_identity_that_cannot_be_found_out_is_said(self, plugin: Plugin, cases: ArchiveCases) -> None:
        cases.spoil()
        try:
            with pytest.raises(PluginUnavailableError):
                identity_of(plugin, cases.request)
        finally:
            cases.mend()

    @pytest.mark.parametrize("how", list(Misbehaviour))
    def test_a_tool_that_misbehaves_is_an_error_and_not_an_answer(
        self, misbehaving: Callable[[Misbehaviour], PluginUnderTest], cases: ArchiveCases, how: Misbehaviour
    ) -> None:  # fmt: skip
        with built(misbehaving(how)) as plugin, pytest.raises(PluginUnavailableError):
            identity_of(plugin, cases.request)


class ArchiveStatusConformance:
    """What an archive adds that tells what it holds (``hacore_archive_status``)."""

    def test_its_status_tells_what_it_holds(self, plugin: Plugin, archive: "Programs", cases: ArchiveCases) -> None:
        assert archive.push("000000010000000000000006", os.urandom(SEGMENT_BYTES)) == 0
        status = plugin.calls.call("hacore_archive_status", ArchiveStatus, limit_s=_HOOK_S, request=cases.request)
        assert isinstance(status, ArchiveStatus)
        assert status.last_segment in {None, "000000010000000000000006"}


class Programs:
    """Runs what a plugin names, as the shim of the core does."""

    def __init__(self, settings: ArchiveSettings, data_dir: Path) -> None:
        self.settings, self._data_dir = settings, data_dir

    def push(self, name: str, content: bytes) -> int:
        """Push a file of ``pg_wal`` and return the exit code."""
        path = Path("pg_wal") / name
        (self._data_dir / path).write_bytes(content)
        return self._run(self.settings.push, name, path, self.settings.push_limit_s)

    def fetch(self, name: str) -> tuple[int, bytes]:
        """Fetch a file and return the exit code and what is there; nothing after a failure may look like a file."""
        path = Path("pg_wal") / "RECOVERYXLOG"
        (self._data_dir / path).unlink(missing_ok=True)
        code = self._run(self.settings.fetch, name, path, self.settings.fetch_limit_s)
        found = self._data_dir / path
        return code, found.read_bytes() if found.exists() else b""

    def _run(self, argv: tuple[str, ...], name: str, path: Path, limit_s: float) -> int:
        words = [word.replace("%p", str(path)).replace("%f", name) for word in argv]
        environment = {"PATH": os.defpath, **dict(self.settings.environment)}
        try:
            return subprocess.run(words, cwd=self._data_dir, env=environment, check=False, timeout=min(limit_s, _LIMIT_S)).returncode
        except subprocess.TimeoutExpired:
            return 124  # what timeout(1), which the shim runs it under, says


def settings_of(plugin: Plugin, request: ArchiveRequest) -> ArchiveSettings:
    """Ask as the core does."""
    found = plugin.calls.call("hacore_archive_settings", ArchiveSettings, limit_s=_HOOK_S, request=request)
    assert isinstance(found, ArchiveSettings)
    return found


def identity_of(plugin: Plugin, request: ArchiveRequest) -> object:
    """Ask as the core does."""
    return plugin.calls.call(
        "hacore_archive_identity", ArchiveEmpty, ArchiveOwned, ArchiveConflict, limit_s=_HOOK_S, request=request
    )  # fmt: skip
