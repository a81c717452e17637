"""The master process of HAProxy (``-W -S PATH``), by its own socket: a reload, and the workers that earlier reloads have left.

A worker that was replaced goes on with the sessions that it has. ``shutdown sessions server`` does nothing there (2.6: "Proxy is
disabled"), so each session is looked up and ended by itself.
"""

import re
from collections.abc import Iterator
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy.client import Client

_OLD_WORKERS: Final = "# old workers"
_SESSION: Final = re.compile(r"^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) ", flags=re.MULTILINE)
_IN_ONE_LINE: Final = 100


class Master:
    """Asks the master."""

    def __init__(self, place: str) -> None:
        self._client = Client(place, half_closes=True)

    def reload(self, *, clock: Clock, until: Instant) -> str | None:
        """Start a new worker with the configuration as it is now; return why there is none, where the master says so.

        2.6 answers at once and says nothing; later versions answer when the new worker runs.

        :raises PluginUnavailableError: the master does not answer.
        """
        answer = self._client.ask("reload", clock=clock, until=until)
        return answer.strip() if "Success=0" in answer else None

    def is_there(self, *, clock: Clock, until: Instant) -> bool:
        """Tell whether the master answers: while it starts itself anew for a reload it does not."""
        try:
            return "worker" in self._client.ask("show proc", clock=clock, until=until)
        except PluginUnavailableError:
            return False

    def cut_in_old_workers(self, backend: str, leader: str | None, *, clock: Clock, until: Instant) -> int:
        """End the sessions of ``backend`` to any server but ``leader`` that are in the workers of earlier configurations.

        :returns: how many there were.
        :raises PluginUnavailableError: the master does not answer.
        """
        count = 0
        for worker in _old_workers(self._client.ask("show proc", clock=clock, until=until)):
            sessions = self._client.ask(f"@!{worker} show sess", clock=clock, until=until)
            wrong = [found[1] for found in _SESSION.finditer(sessions) if found[2] == backend and found[3] not in (leader, "<none>")]
            for start in range(0, len(wrong), _IN_ONE_LINE):
                some = wrong[start : start + _IN_ONE_LINE]
                self._client.ask(";".join(f"@!{worker} shutdown session {one}" for one in some), clock=clock, until=until)
            count += len(wrong)
        return count


def _old_workers(processes: str) -> Iterator[str]:
    _, _, rest = processes.partition(_OLD_WORKERS)
    for line in rest.splitlines():
        if line.startswith("# ") and line.strip() != _OLD_WORKERS:
            return
        words = line.split()
        if len(words) > 1 and words[0].isdecimal() and words[1] == "worker":
            yield words[0]
