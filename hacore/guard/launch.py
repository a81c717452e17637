"""How to start the guard process as lean as it goes: isolated, without site packages. For the main process, and for tests."""

import os
import sys

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")


def guard_argv(state_dir: str, data_dir: str) -> list[str]:
    """The command line of the guard of this data directory."""
    return [sys.executable, "-I", "-S", _FILE, state_dir, data_dir]
