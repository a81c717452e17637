"""Asks members by their REST API, with the credentials of section ``ctl`` (interface reference 1.2, 4.6)."""

import html
import json
import re
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, InsecureRequestWarning, NewConnectionError

from hacore.config.settings import CtlSettings
from hacore.http.certificates import Pem, load_authorities, load_identity
from hacore.model.cluster import Member

CONNECT_S: Final = 3.0
READ_S: Final = 20.0
_TEXT_LIMIT: Final = 2000
_NOT_CONNECTED: Final = (ConnectTimeoutError, NewConnectionError, ssl.SSLError)
_PAGE: Final = re.compile(r"<!doctype html>.*<p>(.*)</p>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a member said. ``status`` 0: no answer came, ``text`` says why."""

    status: int
    text: str
    is_lost: bool = False  # no answer came, and the member may have taken the request all the same

    @property
    def said(self) -> str:
        """Return the text for people; of a page for browsers only what it says."""
        page = _PAGE.fullmatch(self.text.strip())
        return (html.unescape(page[1]) if page else self.text.strip())[:_TEXT_LIMIT]

    @property
    def was_asked(self) -> bool:
        """Tell whether the member answered at all."""
        return self.status != 0

    @property
    def is_good(self) -> bool:
        """Tell whether it did what was asked, or will."""
        return self.status in {200, 202}

    @property
    def document(self) -> Mapping[str, Any]:
        """Return the text as an object; empty where it is none."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class _Tls(HTTPAdapter):
    """Brings the client's certificate, and may leave the name in the server's certificate alone."""

    def __init__(self, context: ssl.SSLContext, *, checks_name: bool) -> None:
        self._context = context
        self._checks_name = checks_name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the library's own
        """Hand the context on to every connection."""
        options["ssl_context"] = self._context
        if not self._checks_name:
            options["assert_hostname"] = False
        super().init_poolmanager(*arguments, **options)


class MemberApi:
    """The REST APIs of a cluster's members, until the end of the block.

    :raises ConfigError: certificate, key or CA of section ``ctl`` cannot be used.
    """

    def __init__(self, ctl: CtlSettings) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # members are spoken to directly, with our credentials and nobody else's
        if ctl.authentication is not None:
            self._session.auth = HTTPBasicAuth(ctl.authentication.username.encode(), ctl.authentication.password.encode())
        self._is_open = ctl.insecure and ctl.certfile is None
        # As in the field: with a certificate of our own, "insecure" leaves only the name unchecked.
        self._session.verify = False if self._is_open else ctl.cacert or True
        self._session.mount("https://", _Tls(_context(ctl), checks_name=not ctl.insecure))

    def ask(self, member: Member, method: str, path: str, body: object = None, *, read_s: float = READ_S) -> Answer:
        """Send one request and wait for the answer. A member that cannot be asked is an answer, too."""
        if member.api_url is None:
            return Answer(status=0, text="its record has no api_url")
        url = member.api_url
        try:
            parts = urlsplit(url)
            url = f"{parts.scheme}://{parts.netloc}{path}"
            with warnings.catch_warnings():
                if self._is_open:
                    warnings.simplefilter("ignore", InsecureRequestWarning)
                answer = self._session.request(
                    method, url, json=body, timeout=(CONNECT_S, read_s), allow_redirects=False, headers={"Connection": "close"}
                )
        except (requests.RequestException, ValueError) as error:
            return Answer(status=0, text=f"{url}: {_reason(error)}", is_lost=_may_have_arrived(error))
        return Answer(status=answer.status_code, text=answer.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


def _context(ctl: CtlSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ctl.insecure:
        context.check_hostname = False
    cert, key, cacert = (Pem.of("ctl", name, getattr(ctl, name)) for name in ("certfile", "keyfile", "cacert"))
    if cert is not None:
        load_identity(context, cert, key, ctl.keyfile_password)
    if cacert is not None:
        load_authorities(context, cacert)
    return context


def _may_have_arrived(error: Exception) -> bool:
    """Tell whether the request may have reached the member: not where the address is none, or no connection came about."""
    if isinstance(error, ValueError):
        return False
    inner: object = error
    while isinstance(inner, Exception) and not isinstance(inner, _NOT_CONNECTED):
        inner = getattr(inner, "reason", None) or next(iter(inner.args), None)
    return not isinstance(inner, _NOT_CONNECTED) or isinstance(inner, ssl.SSLEOFError)  # the end of a connection, not of its beginning


def _reason(error: Exception) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "no answer in time"
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", None) or inner
    text = str(reason)
    return text.rpartition(">: ")[2] or text  # urllib3 puts the connection object in front
