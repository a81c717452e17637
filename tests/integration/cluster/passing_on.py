"""One node whose programs show what a process of theirs has been given."""

from collections.abc import Sequence
from pathlib import Path

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away


class PassingOn:
    """A cluster of one node, started behind the words of ``launcher``. Its callback writes down its own ``/proc/self/status``."""

    def __init__(self, directory: Path, launcher: Sequence[str]) -> None:
        self._seen = directory / "seen"
        script = directory / "callback"
        script.write_text(f"#!/bin/sh\ncat /proc/self/status > {self._seen}.new && mv {self._seen}.new {self._seen}\n")
        script.chmod(0o755)
        give_away(script)
        self.cluster = Cluster(
            directory,
            store=sqlite_store(directory),
            nodes=1,
            local={"*": {"postgresql": {"callbacks": {"on_start": str(script)}}}},
            launchers={"n1": tuple(launcher)},
        )

    def of_callback(self) -> str:
        """The status of the callback that ran at the start."""
        wait_for(self._seen.exists, "the callback ran")
        return self._seen.read_text()

    def of_sql(self, node: ClusterNode) -> str:
        """The status of a program that the server runs for a statement."""
        copy = Path(f"{self._seen}.copy")
        node.query(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; cat /proc/self/status > {copy}'")
        return copy.read_text()
