"""Requests to members: with the credentials and certificates of the section ``ctl``."""

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests

from hacore.cli.site import CommandError, Site
from hacore.model.cluster import Member

_CONNECT_S: Final = 5.0
LONG_S: Final = 600.0  # a restart, or a switchover of a busy server


def ask(site: Site, member: Member, method: str, path: str, body: object = None, *, timeout_s: float = LONG_S) -> requests.Response:
    """Send one request to a member.

    :raises CommandError: it did not answer.
    """
    if member.api_url is None:
        raise CommandError(f"{member.name} has no api_url in its record")
    parts = urlsplit(member.api_url)
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    ctl = site.settings.ctl
    session = requests.Session()
    session.trust_env = False
    session.verify = ctl.cacert or (not (site.insecure or ctl.insecure))
    if site.insecure or ctl.insecure:
        session.verify = False
    if ctl.certfile:
        session.cert = (ctl.certfile, ctl.keyfile) if ctl.keyfile else ctl.certfile
    if ctl.authentication is not None:
        session.auth = (ctl.authentication.username, ctl.authentication.password)
    try:
        return session.request(method, url, json=body, timeout=(_CONNECT_S, timeout_s))
    except requests.RequestException as error:
        raise CommandError(f"{member.name} does not answer at {url}: {error}") from error
    finally:
        session.close()


def status_of(site: Site, member: Member, *, timeout_s: float = _CONNECT_S) -> dict[str, Any] | None:
    """Return the status document of a member, ``None`` where it does not answer."""
    try:
        answer = ask(site, member, "GET", "/patroni", timeout_s=timeout_s)
        found = answer.json()
    except (CommandError, ValueError):
        return None
    return found if isinstance(found, dict) else None
