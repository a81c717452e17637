"""The plugins of examples/ as somebody has them who never saw the checkout.

Built, installed beside the wheel of hacore, found by their names, their configuration taken, and held to their own tests on real servers.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.project.building import build_wheel, call, clean_environment, must

CHECKOUT = Path(__file__).parents[3]
DEADLINE_S = 300
PASSED_ON = ("HACORE_CACHE", "HACORE_TEST_LOGS")  # where real servers are, and where what a failed test leaves is kept


@pytest.mark.timeout(DEADLINE_S + 120)
@pytest.mark.parametrize(("directory", "name"), [("listener_webhook", "webhook"), ("replica_nightly", "nightly")])
def test_an_example_is_built_installed_and_passes_its_tests(directory: str, name: str, scratch: Path) -> None:
    project, wheels = scratch / "project", scratch / "wheels"
    shutil.copytree(CHECKOUT / "examples" / directory, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    wheels.mkdir()
    programs = clean_environment(scratch, CHECKOUT, f"{build_wheel(CHECKOUT, wheels)}[test]", build_wheel(project, wheels))
    shutil.rmtree(project / "src")  # what is tested is what was installed
    assert f"\t{name}\thacore-{directory.replace('_', '-')}\t" in must(programs / "hacore", "plugins", "list", "-f", "tsv", cwd=scratch)
    passed_on = {variable: os.environ[variable] for variable in PASSED_ON if variable in os.environ}
    done = call(programs / "python", "-m", "pytest", "-rs", cwd=project, deadline_s=DEADLINE_S, **passed_on)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    assert " skipped" not in done.stdout
