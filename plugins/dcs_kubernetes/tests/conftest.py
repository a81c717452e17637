"""The API servers that the tests of one worker share."""

import uuid
from collections.abc import Iterator

import pytest

from plugins.dcs_kubernetes.tests.served import Served, served


@pytest.fixture(scope="session")
def shared() -> Iterator[Served]:
    """Two API servers on one etcd."""
    with served(2) as found:
        yield found


@pytest.fixture
def alone() -> Iterator[Served]:
    """An API server of a test's own."""
    with served(1) as found:
        yield found


@pytest.fixture
def scope() -> str:
    """The scope of a cluster that nobody else uses."""
    return f"s-{uuid.uuid4().hex[:10]}"
