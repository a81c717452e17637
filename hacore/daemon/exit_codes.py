"""What the end of an agent means to the main process. Knows nothing else."""

from typing import Final

OK: Final = 0  # orderly: PostgreSQL was stopped, or never ran
FATAL: Final = 1  # nothing that a new start would cure (name taken, foreign system identifier); PostgreSQL is left as it is
CONFIGURATION: Final = 2  # the configuration or a plugin is wrong; PostgreSQL is left as it is
CRASHED: Final = 70  # the agent met what nobody foresaw: it is started again, as after any other code and after a signal
SERVER_LEFT: Final = 75  # orderly, in pause: PostgreSQL runs on under its guard and is adopted by the next agent

ENDING: Final = frozenset({OK, FATAL, CONFIGURATION, SERVER_LEFT})  # the main process ends too
