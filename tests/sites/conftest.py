"""Sites of examples/sites, brought up on this machine: in namespaces everywhere, and in containers where a Docker engine answers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

import pytest

from hacore.testing.engine import engine_version, said_of_engine
from tests.sites.containers import SITES, ContainerSite
from tests.sites.machines import Machines
from tests.sites.plain import PlainSite

_CONTAINERS: Final = pytest.param(ContainerSite, id="containers", marks=(pytest.mark.slow, pytest.mark.xdist_group("containers")))
_KINDS: Final = (pytest.param(PlainSite, id="plain"), *((_CONTAINERS,) if engine_version() else ()))


def pytest_report_header() -> str:
    """Say whether containers are among what is tried."""
    return f"sites in containers: {said_of_engine()}"


@pytest.fixture(params=_KINDS)
def site(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Callable[[str], Machines]]:
    """Make the machines of a site; its services are the test's to start."""
    kind: Callable[[Path, Path], AbstractContextManager[Machines]] = request.param
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(kind(SITES / name / "compose.yaml", scratch))
