"""Whole clusters, and a directory that the unprivileged user owns and that stays when the test has failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.workdir import work_directory
from tests.chaos.clusters import cluster, cluster_pool, site, store

__all__ = ["cluster", "cluster_directory", "cluster_pool", "site", "store"]


@pytest.fixture
def cluster_directory(request: pytest.FixtureRequest) -> Iterator[Path]:
    with work_directory(session=request.session) as directory:
        yield directory.path
