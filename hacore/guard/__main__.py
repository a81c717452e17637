"""The guard process: ``python -m hacore.guard STATE_DIR DATA_DIR``, or this file itself with ``python -I -S``, which starts leaner.

Exit code 0: not needed any more. 3: another guard holds the lock. 1: the system did not let it start.
"""

import sys

if not __package__:  # run as a file: the interpreter was started without a search path that finds us
    sys.path.append(__file__.removesuffix("/hacore/guard/__main__.py"))

from hacore.guard.process import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
