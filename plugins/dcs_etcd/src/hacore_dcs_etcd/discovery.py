"""Where the members of the cluster are: what DNS says in the place of the configuration, and what the cluster says of itself."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.settings import EtcdSettings
from hacore_dcs_etcd.srv import look_up


class Discovery:
    """Finds members for one client; used by the thread that uses the client."""

    def __init__(self, settings: EtcdSettings, client: Client, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock

    @property
    def is_possible(self) -> bool:
        """Tell whether there is anybody to ask."""
        return self._settings.discover or self._settings.srv is not None

    def run(self, *, timeout_s: float) -> None:
        """Find all members.

        :raises DcsUnavailableError: nobody said where they are. What was known stays known.
        """
        until = self._clock.now() + timeout_s
        if self._settings.srv is not None:
            self._ask_dns(self._settings.srv, until)
        if self._settings.discover:
            self._learn(self._client.call("cluster/member/list", {}, until=until, repeatable=True).get("members", ()))

    def _ask_dns(self, domain: str, until: Instant) -> None:
        settings, now = self._settings, self._clock.now()
        try:
            half = now + (until - now) / 2
            named = look_up(domain, settings.srv_suffix, settings.srv_nameserver, clock=self._clock, until=half)
        except DcsUnavailableError:
            if not self._client.endpoints:
                raise
            return  # what it said before holds
        if named.are_peers:
            self._ask_peers(named.urls, until)
        else:
            self._client.learn((), named=named.urls)

    def _ask_peers(self, urls: tuple[str, ...], until: Instant) -> None:
        """Ask at the addresses where members speak to each other for those where they speak to clients."""
        error: DcsUnavailableError | None = None
        for index, url in enumerate(urls):
            now = self._clock.now()
            try:
                found = self._client.get(url, "/members", now + (until - now) / (len(urls) - index))
            except DcsUnavailableError as broken:
                error = broken
                continue
            if isinstance(found, list) and found:
                self._learn(found)
                return
        raise error or DcsUnavailableError(f"etcd: no member answers at {', '.join(urls)}")

    def _learn(self, members: Iterable[dict[str, Any]]) -> None:
        urls = [url.rstrip("/") for member in members for url in member.get("clientURLs", ())]
        if not all(_is_loopback(endpoint) for endpoint in self._client.named):
            urls = [url for url in urls if not _is_loopback(url)]  # told by default; here it would be another server, or none
        self._client.learn(urls)


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
