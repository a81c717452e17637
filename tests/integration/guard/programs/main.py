"""The real main process with children that need no configuration of the real kind. For the tests beside it."""

import sys
from pathlib import Path

from hacore.daemon.main import supervise
from hacore.daemon.node import Commands

HERE = Path(__file__).parent

if __name__ == "__main__":
    plan = sys.argv[1]
    python = sys.executable
    sys.exit(
        supervise(
            Commands(
                prepare=(python, str(HERE / "prepare.py"), plan),
                agent=(python, str(HERE / "agent.py"), plan),
                rest=(python, str(HERE / "rest.py"), plan),
            )
        )
    )
