"""``python -m hacore.daemon.agent CONFIG``: the agent process, as the main process starts it."""

import logging
import sys

from hacore.agent.run import main
from hacore.daemon import exit_codes

if __name__ == "__main__":
    try:
        code = main()
    except Exception:  # the top of a process: the main process starts it again, which it would not do after Python's own exit code 1
        logging.getLogger("hacore.daemon.agent").exception("the agent met what nobody foresaw")
        code = exit_codes.CRASHED
    sys.exit(code)
