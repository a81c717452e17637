"""What a proxy has to be told, so that it shows a state. Pure: it compares what is wanted with what the proxy shows.

**Who may tell.** The proxy keeps the newest token that it was told (:mod:`hacore_router_haproxy.wire`). A state under an older one changes
nothing. Under the same one nodes differ in what they have learnt so far, so:

- a state that names no leader closes the one that is shown only where this is the node that is shown, or where this node has seen it
  lead: that nobody leads *yet*, as far as it knows, is no reason;
- what a node closes because it leads no more is taken back, and given again only by the node that holds the lease. What it closes because
  it sees another lead no more is not: that one may be primary again under the same lease, and nobody else may tell this proxy;
- connections that the leader holds back in a switchover are let go at once by the leader, by a newer one, or by a node that knows that the
  time is over. A node that has not read of the switchover waits until it must have, if there is one;
- that there is no maintenance a node says once, after it knew of one or was started, and again and again only while it holds the lease: one
  that is cut off from the store may have missed that maintenance ended, and one that missed that it began must not end it.

**In which order.** Down before up: those that do not lead are closed and their sessions cut before the leader is opened, in one line. A
server that is told to be ready is up at once, whatever its checks say later, so only the leader ever is told so.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hacore.interfaces import Endpoint, RoutingState
from hacore.model.clock import Instant
from hacore_router_haproxy import wire
from hacore_router_haproxy.settings import HaproxySettings
from hacore_router_haproxy.wire import DRAIN, MAINT, READY, Shown, server_name

NEWER_RULES: Final = "it follows a newer leader"
LEADER_HOLDS: Final = "its leader holds new connections back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What this agent remembers of one proxy: where it has no marker this is all that keeps an older state away."""

    token: int = 0
    is_closed: bool = False
    seen_leading: tuple[int, str] | None = None  # token and server of the last leader that this node knew of

    def with_shown(self, shown: Shown) -> "Known":
        """Return what is known once the proxy has been looked at: its marker says more than our memory."""
        if shown.token is None:
            return self
        return Known(token=shown.token, is_closed=shown.is_closed, seen_leading=self.seen_leading)


def is_older(state: RoutingState, known: Known) -> bool:
    """Tell whether the proxy has been told more than this node knows."""
    return state.token < known.token


def refusal(state: RoutingState, known: Known, backend: str) -> str:
    """Say that the proxy was told more, and to the node that leads, what to do where the cluster was made anew.

    It is a person who knows: a clone of the cluster that names this proxy by mistake leads, too.
    """
    hint = f"; if that cluster is no more: set server {backend}/{wire.MARKER} addr 0.0.0.0 port 1" if state.leads else ""
    return f"{NEWER_RULES}, token {known.token} and not {state.token}{hint}"


def leader_of(state: RoutingState, known: Known, primaries: Shown) -> str | None:
    """Return the server that shall get the writes, of a state that is not older."""
    if state.token > known.token:
        return _name(state.leader)
    if state.leader is not None:
        return None if known.is_closed and not state.leads else _name(state.leader)
    (shown,) = primaries.open if len(primaries.open) == 1 else (None,)
    has_led = known.seen_leading == (state.token, shown)
    return None if shown == server_name(state.me.member) or has_led else shown


def is_taken_back(known: Known, state: RoutingState, primaries: Shown, leader: str | None) -> bool:
    """Tell whether nobody but the holder of the lease may lead traffic under this token any more.

    Only the node whose server it is says so: what another one has not heard yet it may hear later, and a proxy that no other node tells
    would stay closed for ever.
    """
    if state.token > known.token or (state.leads and leader is not None):
        return False
    return known.is_closed or (leader is None and server_name(state.me.member) in primaries.open)


def is_held(state: RoutingState, now: Instant) -> bool:
    """Tell whether a planned switchover keeps new connections waiting."""
    return state.hold is not None and state.hold.ends_at > now


def is_held_by_its_leader(state: RoutingState, shown: Shown, leader: str | None) -> bool:
    """Tell whether connections wait although this node, which does not lead, knows of no switchover."""
    is_drained = leader is not None and leader in shown.servers and shown.servers[leader].admin == DRAIN
    return is_drained and state.hold is None and not state.leads and state.token == shown.token


def primary_commands(backend: str, shown: Shown, *, leader: str | None, hold: bool, token: int, closed: bool) -> Iterator[str]:
    """Return what the primary's backend has to be told. With ``hold`` the leader finishes its sessions and gets no new ones."""
    if shown.token is not None and (shown.token, shown.is_closed) != (token, closed):
        yield wire.mark(backend, token, closed=closed)
    for server in shown.servers.values():
        if server.name == leader:
            continue
        if server.admin != MAINT:
            yield wire.set_state(backend, server.name, MAINT)
        if server.sessions:
            yield wire.cut(backend, server.name)
    wanted = DRAIN if hold else READY
    if leader is not None and leader in shown.servers and shown.servers[leader].admin != wanted:
        if shown.servers[leader].admin == MAINT and hold:
            return  # nobody waits for it to finish anything: it is closed already
        yield wire.set_state(backend, leader, wanted)


def standby_commands(backend: str, shown: Shown, state: RoutingState, reads_from_leader: str) -> Iterator[str]:
    """Return what the standbys' backend has to be told. Sessions of one that serves reads no more are left to end by themselves."""
    readable = {server_name(one.member) for one in state.standbys}
    alone = not readable & set(shown.servers)
    if state.leader is not None and (reads_from_leader == "always" or (reads_from_leader == "alone" and alone)):
        readable.add(server_name(state.leader.member))
    for server in shown.servers.values():
        wanted = READY if server.name in readable else MAINT
        if server.admin != wanted:
            yield wire.set_state(backend, server.name, wanted)


def check_commands(backend: str, shown: Shown, *, is_paused: bool, may_be_off: Container[str]) -> Iterator[str]:
    """Return what the checks have to be told. In maintenance they stand still: agents may be away, and their servers run on.

    One that is down by its check is left to it: nothing else would find it up again.

    :param may_be_off: the servers whose checks may stand still although there is no maintenance. Nothing shows that they have any then.
    """
    for server in shown.servers.values():
        if is_paused and server.is_checked and not server.status.startswith("DOWN"):
            yield wire.set_checks(backend, server.name, on=False)
        elif not is_paused and not server.is_checked and server.name in may_be_off:
            yield wire.set_checks(backend, server.name, on=True)


def missing(shown: Shown, members: tuple[Endpoint, ...]) -> tuple[str, ...]:
    """Return the members that have no server."""
    return tuple(one.member for one in members if server_name(one.member) not in shown.servers)


def problems(
    settings: HaproxySettings, shown: dict[str, Shown], state: RoutingState, leader: str | None, undone: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return how what a proxy shows, once it was told everything, differs from what is wanted.

    :param undone: what it would have to be told again, although it has been.
    """
    found = [f"no backend {name}" for name in backends_of(settings) if name not in shown]
    if state.leader is not None and leader is None and settings.primary_backend in shown:
        found.append(f"{state.leader.member} was taken back under token {state.token}, and is opened when it leads again")
    for backend, servers in shown.items():
        lacking = missing(servers, state.members)
        if lacking:
            found.append(f"backend {backend} has no server for {', '.join(lacking)}")
    primaries = shown.get(settings.primary_backend)
    server = primaries.servers.get(leader) if primaries is not None and leader is not None else None
    if server is not None and server.admin == READY and not server.is_usable:
        found.append(f"the checks of {settings.primary_backend}/{server.name} say {server.status}")
    found += [f"not done: {command}" for command in undone if wire.is_state(command)]
    return tuple(found)


def backends_of(settings: HaproxySettings) -> tuple[str, ...]:
    """Return the names of the backends that the plugin drives."""
    return tuple(name for name in (settings.primary_backend, settings.standby_backend) if name is not None)


def _name(endpoint: Endpoint | None) -> str | None:
    return None if endpoint is None else server_name(endpoint.member)
