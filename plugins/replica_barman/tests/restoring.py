"""A data directory that Barman has restored, started as a server of its own that fetches WAL by the plugin's program."""

import shlex
from pathlib import Path

from hacore.interfaces import ArchiveSettings
from hacore.testing.workdir import give_away


def restore_command(settings: ArchiveSettings, directory: Path) -> str:
    """Write a program that fetches, and return the command that runs it."""
    words = " ".join({"%f": '"$1"', "%p": '"$2"'}.get(word) or shlex.quote(word) for word in settings.fetch)
    script = directory / "fetch.sh"
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.environment)
    script.write_text(f"#!/bin/sh\n{exports}exec {words}\n")
    script.chmod(0o755)
    give_away(script)
    return f"{script} %f %p"
