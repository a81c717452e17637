"""Two servers with names, and a PgBouncer before them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.pgbouncer import PgBouncer, pgbouncer
from hacore.testing.postgres import PlainServer, plain_server


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, PlainServer]]:
    with plain_server({"cluster_name": "a"}) as a, plain_server({"cluster_name": "b"}) as b:
        yield {"a": a, "b": b}


@pytest.fixture
def bouncer(servers: dict[str, PlainServer], scratch: Path) -> Iterator[PgBouncer]:
    with pgbouncer(scratch, users=(servers["a"].owner,)) as one:
        yield one
