"""Check the configuration for the main process, which stays small by not loading it: ``python -m hacore.daemon.prepare [CONFIG]``.

Prints one line of JSON with what the main process has to know. Exit code 2 and every fault on standard error where it is wrong.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hacore.config import load
from hacore.daemon import exit_codes
from hacore.errors import ConfigError, PluginError
from hacore.plugins.schemas import InstalledSchemas
from hacore.postgres.files import not_ours


def run(arguments: Sequence[str]) -> int:
    """Load, and say what was found."""
    path = arguments[0] if arguments else None
    try:
        local = load(path, os.environ, plugins=InstalledSchemas()).local
    except (ConfigError, PluginError) as error:
        sys.stderr.write(f"{error}\n")
        return exit_codes.CONFIGURATION
    wrong = not_ours(Path(local.postgresql.data_dir))
    if wrong is not None:
        sys.stderr.write(f"postgresql.data_dir: {wrong}\n")
        return exit_codes.CONFIGURATION
    found = {"name": local.name, "data_dir": local.postgresql.data_dir, "state_dir": local.guard.state_dir}
    sys.stdout.write(json.dumps(found) + "\n")
    return exit_codes.OK


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
