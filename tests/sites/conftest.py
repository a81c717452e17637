"""Sites of examples/sites, brought up on this machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sites.plain import PlainSite

SITES = Path(__file__).parents[2] / "examples" / "sites"


@pytest.fixture
def site(scratch: Path) -> Iterator[Callable[[str], PlainSite]]:
    """Make the hosts of a site; its services are the test's to start."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(PlainSite(SITES / name / "compose.yaml", scratch))
