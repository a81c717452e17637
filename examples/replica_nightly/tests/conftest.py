"""A scratch directory that belongs to the user who runs PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.workdir import work_directory


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Make a directory with a short path, and remove it afterwards."""
    with work_directory("nightly-") as directory:
        yield directory.path
