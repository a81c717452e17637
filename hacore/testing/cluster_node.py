"""One node of a cluster that runs on this machine for a test or the demonstration: its files, its processes, its doors.

Looks from outside only: /proc, REST, SQL. What of the node may be killed or stopped is found anew each time.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hacore.testing.history import Session
from hacore.testing.node_processes import ClusterError, NodeProcesses
from hacore.testing.workdir import owner_of

STOPPED_WITHIN_S: Final = 60.0
_ASK_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the REST API of a node answered."""

    status: int
    text: str

    @property
    def document(self) -> dict[str, Any]:
        """The text, read as a JSON object."""
        found = json.loads(self.text)
        if not isinstance(found, dict):
            raise ClusterError(f"want a JSON object, got {self.text[:200]}")
        return found


class ClusterNode(NodeProcesses):
    """A node of a running cluster."""

    # ---------------------------------------------------------------------------------------------- life
    def write(self) -> None:
        """Write the configuration file."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        owner = owner_of(self.directory)
        if owner is not None:
            os.chown(self.config, *owner)

    def start(self) -> None:
        """Start the main process, which starts the rest; nothing need be there yet."""
        if self.process is not None and self.process.poll() is None:
            raise ClusterError(f"{self.name}: the main process {self.process.pid} runs already")
        user, group = (None, None) if self.launcher else (owner_of(self.directory) or (None, None))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, sys.executable, "-P", "-m", "hacore.daemon", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env={**_passed_on(), **self.environment},
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )

    def end(self, *, within_s: float = STOPPED_WITHIN_S) -> int:
        """End the node in order, as the service manager would, and wait for it. Answers the exit code.

        :raises ClusterError: it has not ended in time.
        """
        if self.process is None:
            raise ClusterError(f"{self.name}: was not started")
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end(within_s=within_s)

    def wait_end(self, *, within_s: float = STOPPED_WITHIN_S) -> int:
        """Wait until the main process has ended, and answer its exit code."""
        if self.process is None:
            raise ClusterError(f"{self.name}: was not started")
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired as late:
            raise ClusterError(f"{self.name}: has not ended within {within_s:g} s, see {self.log}") from late

    def restart(self) -> None:
        """End the node in order and start it again."""
        self.end()
        self.start()

    def reload(self) -> None:
        """Let it read its configuration file again."""
        self.send("main", signal.SIGHUP)

    # -------------------------------------------------------------------------------------------- doors
    def rest(self, path: str, *, method: str = "GET", body: object = None, timeout_s: float = _ASK_S) -> Reply:
        """Ask the REST API once.

        :raises OSError: nobody answered.
        """
        connection = http.client.HTTPConnection(self.host, self.rest_port, timeout=timeout_s)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(status=answer.status, text=answer.read().decode())
        except http.client.HTTPException as error:
            raise OSError(f"{self.name}: {method} {path}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def is_ok(self, path: str) -> bool:
        """Whether a health check answers 200; ``False`` also when nobody answers."""
        try:
            return self.rest(path).status == http.HTTPStatus.OK
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        """The document of ``/patroni``; empty when nobody answers."""
        with contextlib.suppress(OSError, ValueError):
            return self.rest("/patroni").document
        return {}

    @property
    def rule(self) -> str:
        """The rule that decided the last turn; empty when nobody answers."""
        return str(self.status().get("hacore", {}).get("rule", "")).rpartition(".")[2]

    def query(self, sql: str, values: tuple[object, ...] = (), *, deadline_s: float = _ASK_S) -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own."""
        session = Session(self.dsn, deadline_s=deadline_s)
        try:
            return session.query(sql, values, deadline_s=deadline_s)
        finally:
            session.close()

    def says(self, text: str) -> bool:
        """Whether the log has this text anywhere."""
        return self.log.exists() and text in self.log.read_text(errors="replace")


def _passed_on() -> dict[str, str]:
    """Our environment without what would be taken for settings or for a service manager's."""
    strange = ("HACORE_", "PATRONI_", "PG", "NOTIFY_", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)}
