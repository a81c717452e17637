"""Asks other members directly: ``GET api_url`` of all at once, under one deadline (interface reference 5.4.7).

Whatever a member answers, or does not, becomes a value; a hanging name server or a member that dribbles its answer costs nothing but that
member. It understands the status documents of hacore and of the field.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from hacore.config.settings import CtlSettings
from hacore.http.certificates import Pem, load_authorities, load_identity
from hacore.model.cluster import Member
from hacore.model.lsn import Lsn
from hacore.model.node import PeerState, Role
from hacore.records.tags import read_tags

_ANSWER_BYTES: Final = 1 << 20
_OK: Final = 200


class HttpPeers:
    """:class:`hacore.ports.Peers` over the REST API. One thread uses it; one that is still busy with a member is not joined by another."""

    def __init__(self, settings: CtlSettings) -> None:
        self._context = client_context(settings)
        self._busy: dict[str, threading.Thread] = {}

    def use(self, settings: CtlSettings) -> None:
        """Speak to members with other credentials from now on."""
        self._context = client_context(settings)

    def ask(self, members: Sequence[Member], *, timeout_s: float) -> tuple[PeerState, ...]:
        """Ask all at once; one that does not answer in time is not reachable."""
        deadline = time.monotonic() + timeout_s
        answers: dict[str, PeerState] = {}
        for member in members:
            standing = self._busy.get(member.name)
            if member.api_url is None or (standing is not None and standing.is_alive()):
                continue
            arguments = (member.name, member.api_url, deadline, answers)
            thread = threading.Thread(target=self._ask, args=arguments, name=f"peer {member.name}", daemon=True)
            self._busy[member.name] = thread
            thread.start()
        for member in members:
            asked = self._busy.get(member.name)
            if asked is not None:
                asked.join(max(0.0, deadline - time.monotonic()))
        found = dict(answers)  # what comes later counts as not come
        self._busy = {name: thread for name, thread in self._busy.items() if thread.is_alive()}
        return tuple(found.get(member.name, PeerState(name=member.name, reachable=False)) for member in members)

    def _ask(self, name: str, url: str, deadline: float, answers: dict[str, PeerState]) -> None:
        try:
            document = fetch(url, self._context, deadline)
        except (OSError, ValueError, http.client.HTTPException, RecursionError):
            return  # no answer is an answer: the member is not reachable
        answers[name] = peer_state(name, document)


def client_context(settings: CtlSettings) -> ssl.SSLContext:
    """Return how members are spoken to over TLS: as the field does, servers are verified only where this node has a certificate of its own.

    :raises ConfigError: a file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's certificates: they cost a MiB and would not be asked
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    cert, key, cacert = (Pem.of("ctl", name, getattr(settings, name)) for name in ("certfile", "keyfile", "cacert"))
    if cert is not None:
        load_identity(context, cert, key, settings.keyfile_password)
        if cacert is not None:
            load_authorities(context, cacert)
            context.verify_mode = ssl.CERT_REQUIRED
    return context


def fetch(url: str, context: ssl.SSLContext, deadline: float) -> Mapping[str, Any]:
    """Get a JSON object. ``deadline`` is of ``time.monotonic``.

    :raises OSError: nobody answered in time.
    :raises ValueError: the address, or what came from there, is not what it should be.
    :raises http.client.HTTPException: it does not speak HTTP.
    """
    parts = urlsplit(url)
    if parts.hostname is None or parts.scheme not in {"http", "https"}:
        raise ValueError(f"{url}: not an address of a REST API")
    connection = _connection(parts, parts.hostname, context, deadline - time.monotonic())
    try:
        connection.request("GET", parts.path or "/patroni", headers={"Connection": "close", "Accept": "application/json"})
        answer = connection.getresponse()
        data = _read(answer, connection.sock, deadline)
    finally:
        connection.close()
    found = json.loads(data)
    if answer.status != _OK or not isinstance(found, dict):
        raise ValueError(f"{url}: no status document")
    return found


def peer_state(name: str, document: Mapping[str, Any]) -> PeerState:
    """Understand a status document: ours, the field's, or of an older release. What cannot be understood is not known.

    One that bears another name speaks for another member: this one's port was taken, or its address is wrong.
    """
    told = document.get("patroni")
    if isinstance(told, dict) and told.get("name", name) != name:
        return PeerState(name=name, reachable=False)
    own = document.get("hacore")
    positions = document.get("xlog", document.get("wal"))
    role = _role(document, positions)
    tags = read_tags(document["tags"]) if isinstance(document.get("tags"), dict) else read_tags({})
    is_hacore = isinstance(own, dict)
    refuses = bool(document.get("watchdog_failed")) or (isinstance(own, dict) and bool(own.get("refuses_election")))
    system_id = document.get("database_system_identifier")
    state = document.get("state")
    return PeerState(
        name=name,
        reachable=True,
        role=role,
        state=state if isinstance(state, str) else None,
        timeline=_whole(document.get("timeline")) or None,
        lsn=_lsn(role, positions, own if isinstance(own, dict) else {}),
        failover_priority=tags.failover_priority,
        nofailover=not tags.may_lead,
        refuses_election=refuses,
        is_hacore=is_hacore,
        system_id=str(system_id) if system_id else None,
        streams=document.get("replication_state") == "streaming" if role is Role.STANDBY else None,
    )


def _connection(parts: SplitResult, host: str, context: ssl.SSLContext, timeout_s: float) -> http.client.HTTPConnection:
    timeout_s = max(0.001, timeout_s)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)


def _read(answer: http.client.HTTPResponse, sock: socket.socket | None, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while sum(map(len, chunks)) <= _ANSWER_BYTES:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if sock is not None and sock.fileno() >= 0:
            sock.settimeout(left_s)
        chunk = answer.read1(1 << 16)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
    raise ValueError("the answer is too long")


def _role(document: Mapping[str, Any], positions: object) -> Role | None:
    """Positions tell it: ``location`` is of a primary. Without any the role that it claims is not measured, but a primary is believed."""
    if isinstance(positions, dict):
        return Role.PRIMARY if "location" in positions else Role.STANDBY
    return Role.PRIMARY if document.get("role") in {"primary", "master", "promoted"} and document.get("state") != "stopped" else None


def _lsn(role: Role | None, positions: object, own: Mapping[str, Any]) -> Lsn | None:
    """Return the position that counts in an election; what hacore says to be durable is better than what is only written."""
    if not isinstance(positions, dict):
        return None
    if role is Role.PRIMARY:
        location = _whole(positions.get("location"))
        return None if location is None else Lsn(location)
    durable = _whole(own.get("durable_lsn"))
    known = [durable] if durable is not None else [_whole(positions.get(key)) for key in ("received_location", "replayed_location")]
    return max((Lsn(one) for one in known if one is not None), default=None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
