"""What a site's story asks of those who bring the site up, be its machines namespaces or containers."""

import subprocess
from contextlib import AbstractContextManager
from typing import Protocol


class Machines(Protocol):
    """Everything that one compose file describes. Made, but not switched on, when its block is entered."""

    def address(self, name: str) -> str:
        """Return the IPv4 address of a service."""

    def reached(self) -> AbstractContextManager[None]:
        """Let this thread, and those that it starts, reach the services."""

    def start(self) -> None:
        """Run the commands of all services."""

    def kill(self, name: str) -> None:
        """Lose a machine: cut its cable first, then end all that runs on it at one instant."""

    def revive(self, name: str) -> None:
        """Switch a machine on again, with what its disks had."""

    def execute(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine of a service, as its user, and return what it said.

        :raises AssertionError: it failed.
        """

    def log_of(self, name: str) -> str:
        """Return what a service has written."""
