"""``python -m hacore.daemon.agent CONFIG``: the agent process, as the main process starts it."""

import sys

from hacore.agent.run import main

if __name__ == "__main__":
    sys.exit(main())
