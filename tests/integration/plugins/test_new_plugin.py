"""`hacore plugins new` for somebody who never saw the checkout.

Made, built, installed beside the wheel of hacore, shown, and held to the tests that it came with, on real servers.
"""

import os
from pathlib import Path

import pytest

from hacore.hookspecs import KINDS
from hacore.testing.workdir import work_directory
from tests.project.building import build_wheel, call, clean_environment, must

CHECKOUT = Path(__file__).parents[3]
DEADLINE_S = 600
PASSED_ON = ("HACORE_CACHE", "HACORE_TEST_LOGS")  # where real servers are, and where what a failed test leaves is kept


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(CHECKOUT, tmp_path_factory.mktemp("wheels"))


@pytest.mark.timeout(DEADLINE_S + 120)
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if kind == "dcs" else kind for kind in KINDS],  # test_third_party_store.py has its kit, too
)
def test_a_new_plugin_installs_is_shown_and_passes_its_kit(kind: str, wheel: Path, scratch: Path) -> None:
    scratch.chmod(0o755)
    programs = clean_environment(scratch, CHECKOUT, f"{wheel}[test]")
    project = scratch / "project"
    must(programs / "hacore", "plugin", "new", "--kind", kind, "--directory", project, "my_own", cwd=scratch)
    uv_pip = ("uv", "pip", "install", "--quiet", "--link-mode", "copy", "--no-deps", "--python", programs / "python")
    must(*uv_pip, build_wheel(project, scratch), cwd=scratch)
    listed = must(programs / "hacore", "plugins", "list", "--format", "tsv", cwd=scratch)
    assert f"{kind}\tmy_own\thacore-{kind}-my-own\t0.1.0\tyes" in listed
    assert "my_own" in must(programs / "hacore", "plugins", "show", "my_own", cwd=scratch)
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    done = call(programs / "python", "-m", "pytest", "-rs", "--durations=3", cwd=project, deadline_s=DEADLINE_S, **passed_on)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    assert " skipped" not in done.stdout


@pytest.mark.parametrize("name", ["Capital", "1st", "with-dash", "class", "basebackup"])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    done = call("hacore", "plugin", "new", "--kind", "listener", name, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{name}: " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "name"), [("command", "list"), ("command", "show_config"), ("dcs", "postgresql"), ("dcs", "plugins")])
def test_a_name_that_hacore_itself_has_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    done = call("hacore", "plugin", "new", "--kind", kind, name, cwd=tmp_path)
    assert done.returncode == 1
    assert "hacore itself has" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with work_directory() as directory:
        done = call("hacore", "plugin", "new", "--kind", "listener", "--directory", directory.path, "mine", cwd=tmp_path)
    assert done.returncode == 1
    assert "is there already" in done.stderr


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = call("hacore", "plugin", "new", "--kind", "listener", "--directory", tmp_path / "file" / "in", "mine", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Not a directory" in done.stderr
