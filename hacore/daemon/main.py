"""The main process, from its command lines to its exit code."""

import os
import sys
from collections.abc import Sequence

from hacore.daemon import exit_codes
from hacore.daemon.messages import say
from hacore.daemon.node import Commands
from hacore.daemon.supervisor import Supervisor


def standard_commands(arguments: Sequence[str]) -> Commands:
    """The children of a real node; each takes the arguments of the main process."""
    python = (sys.executable, "-P", "-m")
    return Commands(
        prepare=(*python, "hacore.daemon.prepare", *arguments),
        agent=(*python, "hacore.daemon.agent", *arguments),
        rest=(*python, "hacore.api", *arguments),
    )


def supervise(commands: Commands) -> int:
    """Be the main process; answers its exit code."""
    if os.geteuid() == 0:
        say("error", "hacore runs as the user that owns the data directory, not as root: PostgreSQL refuses root")
        return exit_codes.FATAL
    try:
        return Supervisor(commands, os.environ).run()
    except Exception as error:  # noqa: BLE001 - the top of the daemon: the service manager starts us again, and we find guard and server
        say("error", f"the main process met what nobody foresaw: {type(error).__name__}: {error}")
        return exit_codes.FATAL
