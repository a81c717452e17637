"""An S3 server on a free loopback port, for tests: moto, in a virtual environment of its own. What it keeps is in its memory."""

import contextlib
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Final, Self

from hacore.errors import HacoreError
from hacore.testing.ports import Ports
from hacore.testing.servers import locate

READY_S: Final = 60.0
_ASK_S: Final = 10.0
_PAUSE_S: Final = 0.05


class Moto:
    """A server that runs within its block. Any access key will do."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "moto.log"
        self._ports = Ports()
        self.port = self._ports.take()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def url(self) -> str:
        """The endpoint for clients; path style."""
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")  # noqa: S310 - a server of ours
        with urllib.request.urlopen(request, timeout=_ASK_S):  # noqa: S310
            return

    def freeze(self) -> None:
        """Stop it: it goes on accepting connections and never answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _start(self) -> None:
        command = [str(locate("moto").program("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise HacoreError(f"moto: not ready within {READY_S:.0f} s, see {self._log}")
            time.sleep(_PAUSE_S)

    def _close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._ports.close()

    def _send(self, number: signal.Signals) -> None:
        if self._process is None:
            raise HacoreError(f"moto: not running, cannot be sent {number.name}")
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/moto-api/data.json", timeout=_ASK_S) as answer:  # noqa: S310
            return bool(answer.status == 200)
        return False
