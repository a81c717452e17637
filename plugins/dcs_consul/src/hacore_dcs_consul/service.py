"""The thread that keeps this member's service at the agent of its own machine: its address, its role as tags, and a check of the role.

What is wanted follows from the member record. It is sent when it changes and again now and then, because an agent that was started anew
has forgotten it. Nothing here holds up the session: lock and member record neither wait for it nor depend on it. A role that has changed
without our doing shows by the check, which asks the REST server for exactly that role.
"""

import json
import logging
import re
import threading
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from hacore.errors import Enduring
from hacore.model.clock import Clock
from hacore_dcs_consul.client import Client, RejectedError
from hacore_dcs_consul.session import TIMES_TTL
from hacore_dcs_consul.settings import ConsulSettings
from hacore_dcs_consul.wire import Json

_CALL_S: Final = 3.0
_AFTER_FAILURE_S: Final = 3.0
_JOIN_S: Final = 3.0
_LONGEST_NAME: Final = 230
_ABANDONED: Final = 10  # times the ttl of the session: then Consul takes a service away whose check fails all the time
_TAGS: Final = {
    "primary": ("master", "primary"),
    "master": ("master", "primary"),
    "standby_leader": ("standby-leader",),
    "replica": ("replica",),
}
_DEFAULT_PORT: Final = 5432
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Whose service it is, and how it is registered."""

    scope: str
    member: str
    settings: ConsulSettings

    @property
    def number(self) -> str:
        """Return what it is known by at the agent."""
        return f"{self.scope}/{self.member}"

    def registration(self, record: Json, ttl_s: float) -> Json | None:
        """Return what is registered for a member record; ``None``: nothing."""
        tags, place, api_url = _TAGS.get(str(record.get("role"))), urlsplit(str(record.get("conn_url"))), record.get("api_url")
        if not self.settings.register_service or record.get("state") == "stopped" or tags is None or not api_url:
            return None
        check = {
            "HTTP": _rest_url(str(api_url), tags[-1]),
            "Interval": self.settings.service_check_interval,
            "DeregisterCriticalServiceAfter": f"{ttl_s / TIMES_TTL * _ABANDONED:g}s",
        }
        if self.settings.service_check_tls_server_name is not None:
            check["TLSServerName"] = self.settings.service_check_tls_server_name
        return {
            "ID": self.number,
            "Name": service_name(self.scope),
            "Address": place.hostname or "",
            "Port": place.port or _DEFAULT_PORT,
            "Tags": [*self.settings.service_tags, *tags],
            "EnableTagOverride": True,
            "Check": check,
        }


class Registrar:
    """Brings what the agent has to what is wanted. ``want`` and ``withdraw`` return at once.

    :param again_s: how often what has not changed is sent again.
    """

    def __init__(self, service: Service, client: Client, clock: Clock, *, again_s: float = 30.0) -> None:
        self._service = service
        self._again_s = again_s
        self._client = client  # of this machine's agent alone: it is there that the check runs
        self._clock = clock
        self._changed = threading.Condition()
        self._is_due = self._has_ended = False
        self._wanted: Json | None = None
        self._asked: tuple[str, float] | None = None
        self._thread: threading.Thread | None = None

    def want(self, value: str, *, ttl_s: float) -> None:
        """Follow a member record. What was wanted stays while PostgreSQL neither runs nor is stopped, as during a restart."""
        if self._thread is not None and self._asked == (value, ttl_s):
            return
        self._asked = (value, ttl_s)
        record = _mapping(value)
        if record.get("state") in ("running", "stopped"):
            self._set(self._service.registration(record, ttl_s))

    def withdraw(self) -> None:
        """Take the service away."""
        self._asked = None
        self._set(None)

    def close(self) -> None:
        """End the thread, after what is due. The service stays; its check says what has become of it."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _set(self, wanted: Json | None) -> None:
        with self._changed:
            if self._thread is not None and wanted == self._wanted:
                return
            self._wanted, self._is_due = wanted, True
            self._changed.notify()
        if self._thread is None:  # with the feature off, too: what was registered while it was on is taken away
            with Enduring() as beginning:
                thread = threading.Thread(target=self._run, name="hacore-consul-service", daemon=True)
                thread.start()
                self._thread = thread
            if beginning.error is not None:
                logger.debug("the service is registered by the next call", extra={"error": str(beginning.error)})

    def _run(self) -> None:
        pause_s: float | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_due or self._has_ended, pause_s)
                if self._has_ended and not self._is_due:
                    break
                wanted, self._is_due = self._wanted, False
            unchanged_s = None if wanted is None else self._again_s
            pause_s = unchanged_s if self._bring(wanted) else _AFTER_FAILURE_S
        self._client.close()

    def _bring(self, wanted: Json | None) -> bool:
        path = f"agent/service/deregister/{quote(self._service.number)}" if wanted is None else "agent/service/register"
        with Enduring() as attempt:
            self._client.put(path, wanted, until=self._clock.now() + _CALL_S, repeatable=True)
        facts = {"service": self._service.number, "error": str(attempt.error)}
        if isinstance(attempt.error, RejectedError):
            if self._service.settings.register_service:
                logger.warning("Consul's agent refuses the service", extra=facts)
            return not self._service.settings.register_service
        if attempt.error is not None:
            logger.debug("the service is not registered yet", extra=facts)
        return attempt.error is None


def service_name(scope: str) -> str:
    """Return the scope as a name that DNS can carry."""
    plain = re.sub(r"[_. ]", "-", scope.lower())
    return re.sub(r"[^a-z0-9-]", lambda found: f"u{ord(found[0]):04d}", plain)[:_LONGEST_NAME]


def _rest_url(api_url: str, path: str) -> str:
    parts = urlsplit(api_url)
    return f"{parts.scheme}://{parts.netloc}/{path}"


def _mapping(value: str) -> Json:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
