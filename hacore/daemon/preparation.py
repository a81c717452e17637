"""The short-lived child that checks the configuration, as the main process sees it: started, read, judged, without waiting for it."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hacore.guard.spawn import Program, spawn

_LONGEST_ANSWER: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the main process has to know of the configuration."""

    name: str
    data_dir: str
    state_dir: str


class Preparation:
    """One run of the child. ``fd`` is readable when there is something to read."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.fd, answer_fd = os.pipe()
        os.set_blocking(self.fd, False)
        program = Program(argv, environment, death_signal=signal.SIGKILL)
        program.before_exec = lambda: os.dup2(answer_fd, 1)
        try:
            self.pid = spawn(program)
        finally:
            os.close(answer_fd)
        self._answer = b""

    def read(self) -> bool:
        """Take what there is to read; answers whether that was all."""
        try:
            data = os.read(self.fd, _LONGEST_ANSWER)
        except BlockingIOError:
            return False
        if len(self._answer) < _LONGEST_ANSWER:
            self._answer += data
        return not data

    def result(self) -> Prepared | None:
        """What the child found; ``None`` when its answer is none. To be asked once it ended with 0."""
        try:
            found = json.loads(self._answer)
            return Prepared(name=str(found["name"]), data_dir=str(found["data_dir"]), state_dir=str(found["state_dir"]))
        except (ValueError, TypeError, KeyError):
            return None

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.fd)
