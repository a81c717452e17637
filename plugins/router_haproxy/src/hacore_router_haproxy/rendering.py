"""The text of HAProxy's configuration, from a template and the members. It touches no file but the template.

The first lines say which members it was written for. A member whose record has gone, because its node is down, keeps its server:
it is closed anyway, and a reload for each node that comes and goes would help nobody. It loses it with the next text that has to be
written for another reason.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError
from hacore.interfaces import Endpoint, RoutingState
from hacore_router_haproxy.settings import HaproxySettings, Site
from hacore_router_haproxy.wire import MARKER, address_of, server_name

TEMPLATE: Final = "haproxy.cfg.j2"
HOLD_SCRIPT: Final = "hacore-hold.lua"
_FIRST_LINE: Final = "# Written by hacore for the cluster {scope}: changes of this file are undone, its template is the place for them."
_MEMBERS: Final = "# Members: "
_OF_CLIENTS: Final = ("backend", "listen")
_DEFAULTS: Final = "defaults"
_RESOLVERS: Final = "resolvers"
_HEADER: Final = re.compile(r"\s*(defaults|frontend|backend|listen|peers|ring)(?!\S)(?:\s+(?!from\s)([^\s#]+))?(?:\s+from\s+([^\s#]+))?")


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A member as a template sees it."""

    server: str  # its name, as HAProxy takes it
    address: str  # ``10.0.0.1:5432``, ``[fe80::1]:5432``, ``db1.example:5432``


def members_of(state: RoutingState) -> tuple[Member, ...]:
    """Return every member that is known, this one always; without those whose address is not."""
    return tuple(sorted({server_name(one.member): _member(one) for one in known(state)}.values()))


def known(state: RoutingState) -> tuple[Endpoint, ...]:
    """Return the endpoints that can have a server."""
    return tuple(one for one in (state.me, *state.members) if one.host)


def wanted_members(state: RoutingState, written: str) -> tuple[Member, ...]:
    """Return the members that the text has to have, where there is one already: those who are gone stay, as long as nobody else came."""
    present, before = members_of(state), written_members(written)
    return before if set(present) <= set(before) else present


def written_members(text: str) -> tuple[Member, ...]:
    """Return the members for whom a text was written."""
    found = re.search(rf"^{_MEMBERS}(.*)$", text, flags=re.MULTILINE)
    words = [word.split("=", 1) for word in found[1].split()] if found else []
    return tuple(Member(*word) for word in words if len(word) == 2)  # noqa: PLR2004 - name and address


def addresses(text: str) -> dict[tuple[str, str], tuple[str, int]]:
    """Return to which host and port a text leads the servers, by backend and name; without the names that HAProxy itself looks up anew."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    kind, section, looks_up = "", "", False
    inherited: dict[str, bool] = {}  # from each section ``defaults``; from the last one by the name ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            kind, section, origin = header.groups(default="")
            looks_up = inherited.get(origin, False) if origin or kind != _DEFAULTS else False
        words = line.split()
        if words[:1] == ["default-server"]:
            looks_up = looks_up or _RESOLVERS in words
        elif words[:1] == ["server"] and kind in _OF_CLIENTS and section and len(words) > 2 and words[1] != MARKER:  # noqa: PLR2004 - name and address
            place = address_of(words[2])
            if isinstance(place, tuple) and not ((looks_up or _RESOLVERS in words) and _is_name(place[0])):
                found[section, words[1]] = place
        if kind == _DEFAULTS:
            inherited[section] = inherited[""] = looks_up
    return found


def render(scope: str, settings: HaproxySettings, site: Site, members: tuple[Member, ...]) -> str:
    """Return the whole text.

    :raises ConfigError: the template cannot be read, or is none.
    """
    from jinja2 import Environment, StrictUndefined, TemplateError  # noqa: PLC0415 - only where a configuration is written

    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701 - no HTML
    try:
        source = template_text(site)
        body = environment.from_string(source).render(
            digest=hashlib.sha256(repr((source, scope, settings, members)).encode()).hexdigest()[:12],
            scope=scope,
            site=site,
            members=members,
            stats_socket=settings.stats_sockets[0],
            primary_backend=settings.primary_backend,
            standby_backend=settings.standby_backend,
            reads_from_leader=settings.reads_from_leader,
            hold=settings.hold,
            ms=_milliseconds,
        )
    except TemplateError as error:
        raise ConfigError(f"{site.template or TEMPLATE}: {error}") from error
    listed = " ".join(f"{one.server}={one.address}" for one in members)
    return f"{_FIRST_LINE.format(scope=scope)}\n{_MEMBERS}{listed}\n{body}"


def template_text(site: Site) -> str:
    """Return the template.

    :raises ConfigError: it cannot be read.
    """
    if site.template is None:
        return packaged(TEMPLATE)
    try:
        return Path(site.template).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{site.template}: {error}") from error


def packaged(name: str) -> str:
    """Return a file of this distribution."""
    return resources.files("hacore_router_haproxy").joinpath(name).read_text()


def _is_name(host: str) -> bool:
    """Tell whether there is anything to look up: an address stays what it is, whatever is said of ``resolvers``."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _member(endpoint: Endpoint) -> Member:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return Member(server_name(endpoint.member), f"{host}:{endpoint.port}")


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
