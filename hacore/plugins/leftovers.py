"""Programs that outlived the agent that had started them for a job: found by a mark in their environment, and ended.

Two jobs never work on one data directory; an agent that is killed cannot end the programs of its job, so the next one does.
"""

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import psutil

logger = logging.getLogger(__name__)

MARK: Final = "HACORE_JOB"
_TERM_S: Final = 10.0  # from SIGTERM to SIGKILL


def marked(environment: Mapping[str, str], data_dir: str) -> dict[str, str]:
    """Return the environment for programs that work on ``data_dir``."""
    return {**environment, MARK: data_dir}


def end_leftovers(data_dir: str) -> int:
    """End what earlier jobs on this data directory have left behind, and return how many processes that were."""
    left = [process for process in psutil.process_iter() if process.pid != os.getpid() and _mark(process) == data_dir]
    for process in left:
        logger.warning("ending what an earlier job has left behind", extra={"pid": process.pid, "data_dir": data_dir})
    _signal(left, signal.SIGTERM)
    _, alive = psutil.wait_procs(left, timeout=_TERM_S)
    _signal(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_TERM_S)
    return len(left)


def _signal(processes: Sequence[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(signum)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None  # gone, or not ours
