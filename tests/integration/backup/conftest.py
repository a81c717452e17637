"""A cluster of two with the test's own backup plugin, started for each test, and what tests do with its repository."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode, merged, sqlite_store
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, work_directory
from tests.integration.backup.installing import install

HACORE = Path(sys.executable).with_name("hacore")


@dataclass(frozen=True)
class Backups:
    """The cluster, its repository, and the command as a person runs it on a node."""

    cluster: Cluster
    repository: Path
    installed: Path

    def command(self, *words: str, node: ClusterNode | None = None, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Run ``hacore``."""
        config = (node or self.cluster.the_leader()).config
        environment = {**os.environ, "PYTHONPATH": str(self.installed)}
        return subprocess.run(
            [str(HACORE), "-c", str(config), *words], capture_output=True, text=True, timeout=timeout_s, check=False, env=environment
        )

    @contextmanager
    def begun(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run ``hacore`` beside the block; at its end it is killed if it still runs."""
        environment = {**os.environ, "PYTHONPATH": str(self.installed)}
        arguments = [str(HACORE), "-c", str(self.cluster.the_leader().config), *words]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def must(self, *words: str, **options: Any) -> str:
        """Run ``hacore``, which succeeds; its output."""
        done = self.command(*words, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fault(self, what: str | None) -> None:
        """Make the tool misbehave, or behave again."""
        path = self.repository / "fault"
        if what is None:
            path.unlink()
        else:
            path.write_text(what)
            give_away(path)

    def state(self) -> dict[str, Any]:
        """What ``GET /backups`` of the leader says."""
        return self.cluster.the_leader().rest("/backups").document

    def task(self) -> dict[str, Any] | None:
        """What goes on."""
        found: dict[str, Any] | None = self.state()["task"]
        return found

    def result(self, work: str = "backup") -> dict[str, Any] | None:
        """How the last of a kind of work ended."""
        return next((one for one in self.state()["results"] if one["work"] == work), None)

    def ended(self, work: str = "backup", *, deadline_s: float = 90.0) -> dict[str, Any]:
        """How the work ended, once nothing goes on any more."""

        def look() -> dict[str, Any] | None:
            state = self.state()
            return None if state["task"] else next((one for one in state["results"] if one["work"] == work), None)

        found = wait_for(look, f"{work} has ended", deadline_s=deadline_s)
        assert found is not None
        return found

    def refused(self, *words: str) -> str:
        """Run ``hacore`` until it fails; what it says then."""

        def look() -> str | None:
            done = self.command(*words)
            return done.stderr if done.returncode else None

        found = wait_for(look, f"{' '.join(words)} is refused", pause_s=0.5)
        assert found is not None
        return found

    def names(self) -> list[str]:
        """The backups in the list, oldest first."""
        return [one["id"] for one in self.state()["backups"]]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind in the journals of all nodes."""
        found = []
        for node in self.cluster.nodes.values():
            journal = node.state_dir / "journal.jsonl"
            lines = journal.read_text().splitlines() if journal.exists() else []
            found += [event for line in lines if (event := json.loads(line))["kind"] == kind]
        return found


@contextmanager
def backup_cluster(
    directory: Path, *, nodes: int = 2, local: dict[str, Any] | None = None, start: bool = True, **options: Any
) -> Iterator[Backups]:
    """Nodes with the plugin, a repository, and their archive in it."""
    repository, installed = directory / "repository", install(directory)
    repository.mkdir()
    give_away(repository)
    everywhere = {"archive": "plain", "backup": {"plugin": "plain"}, "plugins": {"plain": {"directory": str(repository)}}}
    settings = {"*": merged(everywhere, (local or {}).get("*", {})), **{name: one for name, one in (local or {}).items() if name != "*"}}
    with Cluster(directory, store=sqlite_store(directory), nodes=nodes, local=settings, start=False, **options) as cluster:
        for node in cluster.nodes.values():
            node.environment = {"PYTHONPATH": str(installed)}
        if start:
            cluster.start()
            name = cluster.wait_ready().name  # it leads already while it creates the cluster
            cluster.wait_for(lambda: cluster.members().get(name, {}).get("state") == "running", f"{name} takes connections")
        yield Backups(cluster, repository, installed)


@pytest.fixture
def backups(request: pytest.FixtureRequest) -> Iterator[Backups]:
    with work_directory("bk-", session=request.session) as directory, backup_cluster(directory.path) as found:
        yield found
