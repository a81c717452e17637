"""``python -m hacore.daemon.agent CONFIG``: the agent process, as the main process starts it."""

import logging
import os
import sys
from types import TracebackType

from hacore.agent.run import main
from hacore.daemon import exit_codes
from hacore.guard.kernel import clear_ambient_capabilities


def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with the code after which the main process starts the agent again; Python's own would be 1, which means: not again."""
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("hacore.daemon.agent").critical("the agent met what nobody foresaw", exc_info=(kind, error, trace))
    logging.shutdown()
    os._exit(exit_codes.CRASHED)


if __name__ == "__main__":
    sys.excepthook = crash
    clear_ambient_capabilities()  # plugins may need them; programs that they or we run do not get them
    sys.exit(main())
