"""The main process: ``python -m hacore.daemon [CONFIG]``; ``hacore run`` ends here."""

import sys

from hacore.daemon.main import standard_commands, supervise

if __name__ == "__main__":
    sys.exit(supervise(standard_commands(sys.argv[1:])))
