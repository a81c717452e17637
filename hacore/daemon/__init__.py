"""Puts the processes together: the main process that supervises guard, agent and REST server of one node.

Here is only the way in, because agent and REST server load this as well and have no use for the rest.
"""

import os
import sys
from typing import NoReturn


def run(config_path: str | None) -> NoReturn:
    """Become the main process of the node that this configuration describes; ``None``: the environment alone does.

    It replaces the program that called, so that what a command line had loaded is given back. Same process id: a service manager and a
    container see one process from start to end. Its exit code is 0 after an orderly end, 1 when a person must look, 2 when the
    configuration is wrong.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = [] if config_path is None else [os.path.abspath(config_path)]  # noqa: PTH100 - pathlib is not worth its memory here
    os.execv(sys.executable, [sys.executable, "-P", "-m", "hacore.daemon", *arguments])  # noqa: S606 - no shell is wanted
