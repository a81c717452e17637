"""REST processes for the tests of this directory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.api.rest import Rest


class MakeRest(Protocol):
    def __call__(self, **restapi: object) -> Rest: ...


@pytest.fixture
def make_rest(tmp_path: Path) -> Iterator[MakeRest]:
    """Make REST processes, each with its settings; they are to be started."""
    with contextlib.ExitStack() as stack:

        def make(**restapi: object) -> Rest:
            made = Rest(tmp_path, **restapi)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """One process with nothing special in its settings for all tests of a module: starting one takes a second."""
    made = Rest(tmp_path_factory.mktemp("rest"))
    with contextlib.closing(made):
        made.start()
        yield made


@pytest.fixture
def rest(shared: Rest) -> Iterator[Rest]:
    """The shared process, without an agent."""
    yield shared
    if shared.agent is not None:
        shared.agent.close()
        shared.agent = None


@pytest.fixture
def fresh(make_rest: MakeRest) -> Rest:
    """A process of the test's own, before the first turn of an agent."""
    made = make_rest()
    made.start()
    return made
