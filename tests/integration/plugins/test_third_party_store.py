"""The store of docs/writing-a-store.md, as somebody has it who never saw the checkout.

Built, installed beside the wheel of hacore, and held to its own tests: the conformance kit and a whole cluster, on a real server.
"""

import os
import shutil
from pathlib import Path

import pytest

from hacore.testing.servers import locate
from tests.project.building import build_wheel, call, clean_environment, must

CHECKOUT = Path(__file__).parents[3]
EXAMPLE = CHECKOUT / "examples" / "dcs_pgtable"
DEBIAN_PROGRAMS = "/usr/lib/postgresql/15/bin"
DEADLINE_S = 600
WORKERS = "2"  # each has a server of its own, and the kit mostly waits for locks to end
PASSED_ON = ("HACORE_CACHE", "HACORE_TEST_LOGS")  # where real servers are, and where what a failed test leaves is kept


@pytest.mark.timeout(DEADLINE_S + 120)
def test_a_store_of_somebody_else_is_built_installed_and_passes_the_kit(scratch: Path) -> None:
    project = scratch / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    wheels = scratch / "wheels"
    wheels.mkdir()
    programs = clean_environment(scratch, CHECKOUT, build_wheel(CHECKOUT, wheels), f"{build_wheel(project, wheels)}[test]")
    shutil.rmtree(project / "src")  # what is tested is what was installed
    assert "postgres_table" in must(programs / "hacore", "plugins", "list", cwd=project)
    settings = project / "node1.yml"
    settings.write_text(settings.read_text().replace(DEBIAN_PROGRAMS, str(locate("postgresql").directory)))
    must(programs / "hacore", "validate", "--ignore-listen-port", settings, cwd=project)
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    done = call(programs / "python", "-m", "pytest", "-rs", "-n", WORKERS, "--durations=5", cwd=project, deadline_s=DEADLINE_S, **passed_on)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    assert " skipped" not in done.stdout
