"""The Docker engine of this machine, where one answers, and how compose is called. It never starts one."""

import shutil
import subprocess
from functools import cache
from typing import Final

from hacore.testing.servers import ServerMissingError

_ANSWER_S: Final = 20.0


def docker(*words: str, deadline_s: float = _ANSWER_S) -> subprocess.CompletedProcess[str]:
    """Run a command of docker, and return what became of it."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=deadline_s, check=False)


@cache
def engine_version() -> str | None:
    """Return the version of the engine that answers; ``None``: none does."""
    if shutil.which("docker") is None:
        return None
    try:
        asked = docker("version", "--format", "{{.Server.Version}}")
    except subprocess.TimeoutExpired:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def compose_command() -> str:
    """Return how compose is called here.

    :raises ServerMissingError: it is not here; the message names the command which installs it.
    """
    if docker("compose", "version").returncode == 0:
        return "docker compose"
    if shutil.which("docker-compose"):
        return "docker-compose"
    raise ServerMissingError("a Docker engine answers, and there is no compose for it; apt-get install docker-compose installs it")


def said_of_engine() -> str:
    """Return which engine sites are brought up in, for the summary of a run."""
    version = engine_version()
    return f"Docker {version}" if version else "none, no Docker engine answers"
