"""What the REST process must know of the configuration, read by a short-lived child so that no schema library stays in memory.

Run as a program (``python -m hacore.api.settings CONFIG``) it is that child: it writes the settings to its standard output.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hacore.config import effective, load
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import LogSettings, RestApiSettings
from hacore.errors import ConfigError

_LOAD_S: Final = 30.0
_WRONG: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The part of the settings that this process works with."""

    name: str
    scope: str
    restapi: RestApiSettings
    log: LogSettings
    postgres: PostgresSettings
    state_dir: str


def load_apart(path: str | None, environ: Mapping[str, str]) -> ServerSettings:
    """Let a child read and check the configuration.

    :raises ConfigError: it is wrong; the text names every fault.
    """
    command = [sys.executable, "-m", "hacore.api.settings", *([path] if path else [])]
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, timeout=_LOAD_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"the configuration cannot be read: {error}") from error
    if done.returncode != 0:
        raise ConfigError(done.stderr.decode(errors="replace").strip() or f"the configuration cannot be read: exit code {done.returncode}")
    found = pickle.loads(done.stdout)  # noqa: S301 - written by our own child
    if not isinstance(found, ServerSettings):
        raise ConfigError("the configuration cannot be read: the child has written something else")
    return found


def settings(path: str | None, environ: Mapping[str, str]) -> ServerSettings:
    """Read and check the configuration in this process.

    :raises ConfigError: it is wrong.
    """
    local = load(path, environ).local
    return ServerSettings(
        name=local.name,
        scope=local.scope,
        restapi=local.restapi,
        log=local.log,
        postgres=effective(local, None).postgres,
        state_dir=local.guard.state_dir,
    )


def main() -> int:
    """Write the settings to the standard output."""
    # Not __main__'s classes, which the parent would not find.
    from hacore.api.settings import settings as read  # noqa: PLC0415

    try:
        found = read(sys.argv[1] if len(sys.argv) > 1 else None, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG
    sys.stdout.buffer.write(pickle.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
