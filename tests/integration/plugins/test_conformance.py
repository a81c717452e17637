"""The built-in plugins pass the kits that every plugin must pass."""

from pathlib import Path

import pytest

from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Source
from hacore.testing.conformance.listener import ListenerConformance
from hacore.testing.conformance.plugin import CONTEXT, PluginUnderTest
from hacore.testing.conformance.replica import ReplicaCases, ReplicaConformance
from tests.integration.postgres.conftest import MakeNode, directory, make_node, unprivileged
from tests.integration.postgres.node import Node

__all__ = ["directory", "make_node", "unprivileged"]  # fixtures


class TestCallbacks(ListenerConformance):
    @pytest.fixture
    def subject(self, directory: Path) -> PluginUnderTest:
        script = directory / "script"
        script.write_text("#!/bin/sh\nexit 1\n")
        script.chmod(0o755)
        names = ("on_start", "on_stop", "on_restart", "on_reload", "on_role_change", "pre_promote", "before_stop")
        return PluginUnderTest(kind="listener", name="callbacks", settings=dict.fromkeys(names, str(script)))


@pytest.fixture
def leader(make_node: MakeNode) -> Node:
    node = make_node("a")
    node.create_cluster()
    return node


def request_for(leader: Node, directory: Path, name: str, port: int, *options: tuple[str, str | None]) -> ReplicaRequest:
    password = leader.settings.authentication.replication.password or ""
    passfile = directory / f"{name}.pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"*:*:*:*:{password.replace(':', chr(92) + ':')}\n")
    return ReplicaRequest(
        context=CONTEXT,
        method=name,
        data_dir=str(directory / name),
        source=Source(member="a", conninfo=f"host=127.0.0.1 port={port} user=replicator", passfile=str(passfile)),
        options=(*options, ("checkpoint", "fast")),
        programs={"pg_basebackup": leader.instance.programs.path("pg_basebackup")},
        environment={"PATH": "/usr/bin:/bin", "LANG": "C"},
    )


class TestBasebackup(ReplicaConformance):
    @pytest.fixture
    def subject(self) -> PluginUnderTest:
        return PluginUnderTest(kind="replica", name="basebackup")

    @pytest.fixture
    def cases(self, leader: Node, directory: Path) -> ReplicaCases:
        return ReplicaCases(
            works=request_for(leader, directory, "works", leader.port),
            fails=request_for(leader, directory, "fails", 1),
            lasts=request_for(leader, directory, "lasts", leader.port, ("max-rate", "1M")),
        )
