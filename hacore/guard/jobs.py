"""Long work of an agent (a base backup, a rewind, initdb) marked, so that it can be found and ended when its agent was killed.

Otherwise it would go on to write to the data directory beside that of the next agent. Does not know what the work is.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

from hacore.guard.processes import every_pid, parent_of, program_of, variable_of

NODE_VARIABLE: Final = "HACORE_NODE"  # in the agent's environment: the state directory
JOB_VARIABLE: Final = "HACORE_JOB"  # in that of its long work: the same
_SERVER: Final = "postgres"  # one that a bootstrap script left running is the guard's affair
_GONE_WITHIN_S: Final = 2.0
_LOOK_S: Final = 0.01


def job_mark(environment: Mapping[str, str]) -> dict[str, str]:
    """What an agent with this environment puts into the environment of its long work; nothing for one that runs alone."""
    node = environment.get(NODE_VARIABLE)
    return {} if node is None else {JOB_VARIABLE: node}


def leftovers(node: str) -> list[int]:
    """Living processes of the long work of this node's agents, descendants included: they inherit the mark."""
    return [
        pid
        for pid in every_pid()
        if variable_of(pid, JOB_VARIABLE) == node
        and program_of(pid) != _SERVER
        and parent_of(pid) is not None
        and not _is_elsewhere(pid, node)
    ]


def _is_elsewhere(pid: int, node: str) -> bool:
    """Tell whether the path is another directory for that process: containers may share their processes, and each has its own files."""
    try:
        return os.path.exists(node) and not os.path.samefile(node, f"/proc/{pid}/root{node}")
    except OSError:  # it is not there for it, or the process has gone
        return True


def end_leftovers(node: str) -> list[int]:
    """End what the agent before left. Answers what there was; waits until it is gone, but not for what hangs in the kernel."""
    until_s = time.monotonic() + _GONE_WITHIN_S
    ended: set[int] = set()
    while (left := leftovers(node)) and time.monotonic() < until_s:
        for pid in left:
            ended.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_S)
    return sorted(ended)
