"""Waiting for a condition on real servers, with a deadline, and a message that says what was waited for."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

DEADLINE_S: Final = 60.0
PAUSE_S: Final = 0.05
SETTLING_S: Final = 0.2  # a cluster takes seconds to become whole, and each look asks all nodes
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], what: str, *, deadline_s: float = DEADLINE_S, pause_s: float = PAUSE_S) -> T:
    """Ask until the answer is true, and answer that.

    :raises TimeoutError: it did not come true in time.
    """
    ends_at = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not within {deadline_s:g} s: {what}")
        time.sleep(pause_s)
    return answer
