"""A fresh data directory for each test, copied from one that initdb made once."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.guard.client import GuardClient
from hacore.testing.servers import locate
from hacore.testing.workdir import work_directory
from tests.integration.guard.harness import Site, as_user, environment
from tests.integration.guard.harness import site as a_site


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    with work_directory("template-") as directory:
        initdb = str(locate("postgresql").program("initdb"))
        argv = [initdb, "-D", str(directory.path / "data"), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=environment(), cwd="/", **as_user())
        yield directory.path / "data"


@pytest.fixture
def site(template: Path, scratch: Path) -> Iterator[Site]:
    with a_site(template, scratch) as found:
        yield found


@pytest.fixture
def client(site: Site) -> Iterator[GuardClient]:
    site.run_guard()
    with site.attach() as attached:
        yield attached
