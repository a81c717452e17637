"""``python -m hacore.api CONFIG``: the REST process."""

import sys

from hacore.api.process import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else None))
