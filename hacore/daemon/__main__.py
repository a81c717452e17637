"""The main process: ``python -m hacore.daemon CONFIG``; ``hacore run`` ends here."""

import sys

from hacore.daemon.main import standard_commands, supervise

if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the usage says how many
        sys.exit("usage: python -m hacore.daemon CONFIG")
    sys.exit(supervise(standard_commands(sys.argv[1])))
