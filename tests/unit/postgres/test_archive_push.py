"""The program that pushes, and what both programs are."""

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import PluginError
from hacore.postgres.archive_scripts import ShimPlace
from hacore.postgres.archive_shim import ShimNotes, read_notes, restore_command_for
from hacore.testing.faults.tool import Misbehaviour, misbehaving_tool
from tests.unit.postgres.archive_site import MIB, SEGMENT, Site, run, stored


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def pushable(site: Site, name: str = SEGMENT) -> bytes:
    content = os.urandom(MIB)
    (site.data_dir / "pg_wal" / name).write_bytes(content)
    return content


def test_a_push_is_done_where_the_tool_says_so(site: Site) -> None:
    content = pushable(site)
    assert [site.push(), site.push()] == [0, 0]
    assert (site.store / SEGMENT).read_bytes() == content


def test_a_push_fails_with_the_code_of_the_tool(site: Site) -> None:
    pushable(site)
    assert site.push() == 0
    pushable(site)
    assert site.push() == 45
    assert f"push of {SEGMENT} ended with 45" in (read_notes(site.state).push_failed or "")


def test_what_the_tool_said_of_a_failure_is_kept_until_the_next_success(site: Site) -> None:
    pushable(site)
    site.pushing("echo 'bucket is gone' >&2; exit 3")
    assert site.push() == 3
    assert "bucket is gone" in (read_notes(site.state).push_failed or "")
    site.made()
    assert site.push() == 0
    assert read_notes(site.state) == ShimNotes()


@pytest.mark.parametrize("code", [126, 127, 200, 255])
def test_a_push_never_ends_the_archiver(site: Site, code: int) -> None:
    pushable(site)
    site.pushing(f"exit {code}")
    assert site.push() == 1


@pytest.mark.parametrize("how", [Misbehaviour.HANGS, Misbehaviour.KILLED, Misbehaviour.DISK_FULL, Misbehaviour.WRONG_CODE])
def test_a_push_by_a_tool_that_misbehaves_fails(site: Site, how: Misbehaviour) -> None:
    pushable(site)
    site.made(push=(str(misbehaving_tool(site.tools / "bad", how)), "%p", "%f"))
    assert 1 <= site.push() <= 125


def test_a_push_without_its_environment_fails(site: Site) -> None:
    pushable(site)
    (site.state / "environment").unlink()
    assert 1 <= site.push() <= 125


def test_a_held_archive_gets_nothing_and_says_why(site: Site) -> None:
    pushable(site)
    site.made(held="it's another cluster's: 'other'")
    finished = run(site.shim.archive_command, f"pg_wal/{SEGMENT}", SEGMENT, site.data_dir)
    assert finished.returncode == 1
    assert "it's another cluster's: 'other'" in finished.stderr
    assert not list(site.store.iterdir())


# --- what both are -------------------------------------------------------------------------------------------------------


def test_the_tool_gets_its_environment_and_nothing_of_a_connection_of_ours(site: Site) -> None:
    pushable(site)
    site.pushing('env >"$STORE/env"; printf %s "$SECRET" >"$STORE/secret"')
    assert site.push() == 0
    assert (site.store / "secret").read_text() == dict(site.settings.environment)["SECRET"]
    assert not {"PGOPTIONS", "PGPASSFILE"} & {line.partition("=")[0] for line in (site.store / "env").read_text().splitlines()}


def test_secrets_stand_in_a_file_of_their_owner_alone_and_nowhere_else(site: Site) -> None:
    secret = "a secret"
    modes = {path.name: path.stat().st_mode & 0o777 for path in site.state.iterdir()}
    assert modes == {"environment": 0o600, "push": 0o700, "fetch": 0o700}
    assert [path.name for path in site.state.iterdir() if secret in path.read_text()] == ["environment"]


def test_the_tool_works_in_the_data_directory_with_every_word_as_it_is(site: Site) -> None:
    pushable(site)
    path = site.tool("args", 'pwd >"$STORE/pwd"; printf "%s\\n" "$@" >"$STORE/args"')
    words = ("--file=%f", "a b", "", "$HOME", "it's", "100%", "%p:%f")
    site.made(push=(path, *words))
    assert site.push() == 0
    assert (site.store / "pwd").read_text().strip() == str(site.data_dir)
    wal = f"pg_wal/{SEGMENT}"
    assert (site.store / "args").read_text().split("\n")[:-1] == [
        f"--file={SEGMENT}",
        "a b",
        "",
        "$HOME",
        "it's",
        "100%",
        f"{wal}:{SEGMENT}",
    ]


def test_programs_are_written_when_they_change_only(site: Site) -> None:
    before = (site.state / "fetch").stat().st_ino
    assert not site.shim.write()
    assert (site.state / "fetch").stat().st_ino == before
    assert replace(site.shim, held="no").write()


def test_a_segment_starts_the_tool_and_three_small_programs(site: Site) -> None:
    """No interpreter but the shell."""
    stored(site)
    log = site.tools / "started"
    for program in ("timeout", "wc", "mv", "rm", "tail", "date", "sleep", "cat"):
        path = site.tool(program, f'echo {program} >>{shlex.quote(str(log))}; exec /usr/bin/{program} "$@"')
        assert Path(path).exists()
    environment = (*site.settings.environment, ("PATH", f"{site.tools}:/usr/bin:/bin"))
    site.fetching('exec /usr/bin/cp "$STORE/$1" "$2"', environment=environment)
    assert site.fetch() == 0
    assert log.read_text().split() == ["timeout", "wc", "mv"]


@pytest.mark.parametrize("codes", [(0,), (124,), (137,), (74, 126)])
def test_codes_that_cannot_mean_missing_are_refused(site: Site, codes: tuple[int, ...]) -> None:
    with pytest.raises(PluginError, match="missing_codes"):
        site.made(missing_codes=codes)


@pytest.mark.parametrize("environment", [(("A B", "x"),), (("", "x"),), (("A", "x\0"),)])
def test_an_environment_that_is_none_is_refused(site: Site, environment: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(PluginError, match="environment"):
        site.made(environment=environment)


@pytest.mark.parametrize("changes", [{"push": ()}, {"fetch": ()}, {"push_limit_s": 0}, {"fetch_limit_s": -1}])
def test_settings_without_a_program_or_a_limit_are_refused(site: Site, changes: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="program and a limit"):
        site.made(**changes)


def test_without_missing_codes_every_failure_is_broken(site: Site) -> None:
    site.restoring()
    site.made(missing_codes=())
    assert site.fetch() > 125


def test_a_restore_of_any_archive_fetches_and_never_pushes(site: Site) -> None:
    place = ShimPlace(directory=site.state.parent / "restore", data_dir=site.data_dir, segment_bytes=MIB)
    command = restore_command_for(site.settings, place)
    content = stored(site)
    assert run(command, "pg_wal/RECOVERYXLOG", SEGMENT, site.data_dir).returncode == 0
    assert site.fetched == content
    pushable(site)
    assert subprocess.run([place.directory / "push", f"pg_wal/{SEGMENT}", SEGMENT], cwd=site.data_dir, check=False).returncode == 1
