"""What the main process has to say, on standard error: it does without the logging package, which its children use."""

import sys
import time


def say(level: str, message: str) -> None:
    """Write one line. A reader that is gone must not end us."""
    try:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level.upper()}: {message}\n")
        sys.stderr.flush()
    except OSError:
        return
