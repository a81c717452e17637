"""Where the members of the cluster are: what DNS says in the place of the configuration, and what the cluster says of itself."""

from typing import Final
from urllib.parse import urlsplit

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.settings import EtcdSettings
from hacore_dcs_etcd.srv import look_up

_EVERY_S: Final = 300.0
_IN_NEED_S: Final = 10.0


class Discovery:
    """Finds members for one client; used by the thread that uses the client.

    :param every_s: how often it is due while a member can be watched.
    """

    def __init__(self, settings: EtcdSettings, client: Client, clock: Clock, *, every_s: float = _EVERY_S) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._every_s = every_s
        self._ran_at = clock.now()

    @property
    def is_possible(self) -> bool:
        """Tell whether there is anybody to ask."""
        return self._settings.discover or self._settings.srv is not None

    def is_due(self, *, is_in_need: bool) -> bool:
        """Tell whether it is time to look again; sooner while nobody can be watched."""
        return self.is_possible and self._clock.now() - self._ran_at >= (_IN_NEED_S if is_in_need else self._every_s)

    def run(self, *, timeout_s: float) -> None:
        """Find all members.

        :raises DcsUnavailableError: nobody said where they are. What was known stays known.
        """
        self._ran_at = self._clock.now()
        until = self._ran_at + timeout_s
        if self._settings.srv is not None:
            self._ask_dns(self._settings.srv, until)
        if self._settings.discover:
            self._learn(self._client.call("cluster/member/list", {}, until=until, repeatable=True).get("members"))

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
                self._learn(self._client.get(url, "/members", now + (until - now) / (len(urls) - index)))
            except DcsUnavailableError as broken:
                error = broken
            else:
                return
        raise error or DcsUnavailableError(f"etcd: no member answers at {', '.join(urls)}")

    def _learn(self, members: object) -> None:
        urls = client_urls(members)
        if not all(_is_loopback(endpoint) for endpoint in self._client.named):
            urls = [url for url in urls if not _is_loopback(url)]  # told by default; here it would be another server, or none
        self._client.learn(urls)


def client_urls(members: object) -> list[str]:
    """Read a list of members, as whatever answers at the address has sent it; addresses that cannot be used are passed over.

    :raises DcsUnavailableError: it is none.
    """
    if not isinstance(members, list) or not members or not all(isinstance(member, dict) for member in members):
        raise DcsUnavailableError(f"etcd: no list of members: {str(members)[:100]}")
    told = [member.get("clientURLs") for member in members]
    return [url.rstrip("/") for urls in told if isinstance(urls, list) for url in urls if _is_usable(url)]


def _is_usable(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is none
        return False


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
