"""Nodes for tests of one or two servers. PostgreSQL refuses to run as root, so a test that root started runs as user postgres."""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import BootstrapSettings
from hacore.testing.ports import Ports
from hacore.testing.servers import cache_directory, locate
from tests.integration.postgres.node import INITDB, Change, Node, Site

USER = "postgres"


class MakeNode(Protocol):
    def __call__(self, name: str, /, kind: str = "postgresql", change: Change = ..., bootstrap: BootstrapSettings = ...) -> Node: ...


@pytest.fixture(autouse=True)
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both user ids of the process, so that children may not come back; the saved one stays, so that we may."""
    if os.geteuid() != 0:
        yield
        return
    monkeypatch.setenv("HACORE_CACHE", str(cache_directory()))  # of the user who installed the servers
    account = pwd.getpwnam(USER)
    groups = os.getgroups()
    os.setgroups([account.pw_gid])
    os.setresgid(account.pw_gid, account.pw_gid, 0)
    os.setresuid(account.pw_uid, account.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@pytest.fixture
def directory(unprivileged: None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="hacore-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_node(directory: Path) -> Iterator[MakeNode]:
    nodes: dict[str, Node] = {}

    with Ports() as ports, contextlib.ExitStack() as stack:

        def make(name: str, /, kind: str = "postgresql", change: Change = unchanged, bootstrap: BootstrapSettings = INITDB) -> Node:
            site = Site(directory=directory, bin_dir=str(locate(kind).directory), nodes=nodes)
            node = Node(site, name, ports.take(), change, bootstrap)
            stack.callback(node.end)
            return node

        yield make


def unchanged(settings: PostgresSettings) -> PostgresSettings:
    return settings
