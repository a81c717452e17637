"""Programs in the place of a tool that misbehaves: what the kits hold every plugin against that runs one."""

from enum import StrEnum
from pathlib import Path
from typing import Final


class Misbehaviour(StrEnum):
    """How a tool lets its caller down."""

    HANGS = "hangs"  # deaf to SIGTERM, too
    WRONG_CODE = "wrong_code"  # ends with a code that its manual does not know, having done nothing
    GARBAGE = "garbage"  # says that all is well, with output that is no text, having done nothing
    KILLED = "killed"  # dies by SIGKILL at once
    DISK_FULL = "disk_full"  # cannot write its output


_SCRIPTS: Final = {
    Misbehaviour.HANGS: "trap '' TERM INT HUP\nwhile :; do sleep 60; done",
    Misbehaviour.WRONG_CODE: "echo 'it did not go as planned' >&2\nexit 77",
    Misbehaviour.GARBAGE: "head -c 4096 /dev/urandom\nexit 0",
    Misbehaviour.KILLED: "kill -KILL $$",
    Misbehaviour.DISK_FULL: "echo 'write error: No space left on device' >&2\necho all >/dev/full\nexit 1",
}


def misbehaving_tool(path: Path, how: Misbehaviour) -> Path:
    """Write an executable that misbehaves whatever it is asked, and return its path."""
    path.write_text(f"#!/bin/sh\n{_SCRIPTS[how]}\n")
    path.chmod(0o755)
    return path
