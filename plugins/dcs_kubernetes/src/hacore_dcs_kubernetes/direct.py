"""The API servers behind the service ``kubernetes``, for ``bypass_api_service``: a service that is led astray costs the lock."""

import logging
import threading
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_kubernetes.client import Client, RefusedByServerError

_PATH: Final = "/api/v1/namespaces/default/endpoints/kubernetes"
_LOOK_S: Final = 2.0
_LOOK_EVERY_S: Final = 300.0
logger = logging.getLogger(__name__)


class Directory:
    """Tells clients of the servers, now and then; without the setting it never asks."""

    def __init__(self, clock: Clock, clients: tuple[Client, ...], *, bypass: bool) -> None:
        self._clock = clock
        self._clients = clients
        self._bypass = bypass
        self._mutex = threading.Lock()
        self._looked_at: Instant | None = None

    def look(self, client: Client) -> None:
        """Ask where the servers are, unless that was done a short while ago."""
        now = self._clock.now()
        with self._mutex:
            if not self._bypass or (self._looked_at is not None and now - self._looked_at < _LOOK_EVERY_S):
                return
            self._looked_at = now
        try:
            answer = client.get(_PATH, until=now + _LOOK_S)
        except RefusedByServerError as error:
            logger.warning("the API servers cannot be found past their service", extra={"error": str(error)})
        except DcsUnavailableError as error:
            logger.debug("the API servers cannot be found now", extra={"error": str(error)})
        else:
            servers = tuple(_urls(answer))
            for one in self._clients if servers else ():
                one.prefer(servers)


def _urls(endpoints: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [
        f"https://[{address['ip']}]:{port['port']}" if ":" in address["ip"] else f"https://{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        if port.get("name", "https") == "https"
        for address in subset.get("addresses") or ()
    ]
