"""One HAProxy: look at it, tell it what differs, look again. It does not know why, nor of any other proxy."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.interfaces import RoutingState
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy import plan, wire
from hacore_router_haproxy.client import Client
from hacore_router_haproxy.master import Master
from hacore_router_haproxy.plan import Known
from hacore_router_haproxy.settings import HaproxySettings
from hacore_router_haproxy.wire import GarbageError, Shown, server_name

_PID: Final = re.compile(r"^Pid: (\d+)$", flags=re.MULTILINE)
_DESCRIPTION: Final = re.compile(r"^description: (.*)$", flags=re.MULTILINE)
_LONGEST_LINE: Final = 8000  # characters; HAProxy takes a little less than its buffer of 16 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a proxy showed when it was last asked."""

    backends: dict[str, Shown]
    target: str | None  # the server that gets new writes; ``None``: none, or more than one


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Who answers."""

    pid: str
    description: str  # the keyword of this name in its configuration


class Proxy:
    """Tells one HAProxy. Calls do not overlap: each waits for the one before, which ends at its deadline."""

    def __init__(self, place: str, settings: HaproxySettings) -> None:
        self.place = place
        self.cuts = 0
        self.changes = 0
        self.sight: Sight | None = None  # ``None``: it does not answer, or has not been asked
        self._settings = settings
        self._client = Client(place)
        self.master = Master(settings.master_socket) if settings.master_socket is not None else None
        self._known = Known()
        self._may_be_unchecked = True  # an agent before this one, or we in maintenance, may have let its checks stand still
        self._checked: defaultdict[str, set[str]] = defaultdict(set)  # servers that have shown checks, by backend
        self._held_since: Instant | None = None  # connections are held back, and this node does not know why
        self._turn = threading.Lock()

    def route(self, state: RoutingState, *, clock: Clock, until: Instant, patience_s: float = 0.0) -> tuple[str, ...]:
        """Make it show the state; return what is not as it shall be.

        :param patience_s: how long a node that does not lead may not have read of a switchover that its leader has begun.
        :raises PluginUnavailableError: it does not answer.
        """
        with self._turn:
            backends = self._look(clock, until).backends
            if plan.is_older(state, self._known):
                return (plan.refusal(state, self._known, self._settings.primary_backend),)
            primaries = backends.get(self._settings.primary_backend)
            leader = None if primaries is None else plan.leader_of(state, self._known, primaries)
            if primaries is not None:
                closed = plan.is_taken_back(self._known, state, primaries, leader)
                self._known = replace(self._known, token=state.token, is_closed=closed)
            if state.leader is not None:
                self._known = replace(self._known, seen_leading=(state.token, server_name(state.leader.member)))
            kept = primaries is not None and self._is_kept_back(state, primaries, leader, clock.now(), patience_s)
            hold = kept or plan.is_held(state, clock.now())
            complaints, backends = self._tell(tuple(self._commands(backends, state, leader, hold=hold)), backends, clock, until)
            self._may_be_unchecked = state.is_paused
            undone = self._commands(backends, state, leader, hold=hold) if not complaints else ()
            complaints += self._cut_in_old_workers(leader, clock, until)
            told = (*complaints, *plan.problems(self._settings, backends, state, leader, undone))
            return (*told, plan.LEADER_HOLDS) if kept else told

    def revoke(self, token: int, member: str, *, clock: Clock, until: Instant) -> tuple[str, ...]:
        """Close the member's server, and let nobody open one under this token who does not hold the lease."""
        backend, name = self._settings.primary_backend, server_name(member)
        with self._turn:
            backends = self._look(clock, until).backends
            primaries = backends.get(backend)
            if primaries is None or token < self._known.token:
                return ()
            self._known = replace(self._known, token=token, is_closed=True)
            told = plan.primary_commands(backend, primaries, leader=None, hold=False, token=token, closed=True)
            complaints, _ = self._tell(tuple(told), backends, clock, until)
            complaints += self._cut_in_old_workers(None, clock, until)
            return complaints if name in primaries.servers else (*complaints, f"backend {backend} has no server for {member}")

    def sessions(self, member: str, *, clock: Clock, until: Instant) -> int:
        """Return how many sessions to the member's server are open in the primary's backend."""
        with self._turn:
            primaries = self._look(clock, until).backends.get(self._settings.primary_backend)
            server = primaries.servers.get(server_name(member)) if primaries is not None else None
            return server.sessions if server is not None else 0

    def cut(self, member: str, *, clock: Clock, until: Instant) -> tuple[str, ...]:
        """End the sessions to the member's server in the primary's backend."""
        with self._turn:
            backends = self._look(clock, until).backends
            return self._tell((wire.cut(self._settings.primary_backend, server_name(member)),), backends, clock, until)[0]

    def look(self, *, clock: Clock, until: Instant) -> Sight:
        """Return what it shows."""
        with self._turn:
            return self._look(clock, until)

    def has_forgotten(self, state: RoutingState) -> bool:
        """Tell whether it was restarted since it was told, as it showed when it was last asked."""
        primaries = self.sight.backends.get(self._settings.primary_backend) if self.sight is not None else None
        return primaries is not None and primaries.token is not None and primaries.token < state.token

    def states(self, *, clock: Clock, until: Instant) -> str:
        """Return the states of all its servers, as its file of states has them."""
        with self._turn:
            return self._client.ask("show servers state", clock=clock, until=until)

    def process(self, *, clock: Clock, until: Instant) -> Process:
        """Return which process answers, and what its configuration says of itself."""
        with self._turn:
            answer = self._client.ask("show info", clock=clock, until=until)
            pid, description = (pattern.search(answer) for pattern in (_PID, _DESCRIPTION))
            return Process(pid=pid[1] if pid else "", description=description[1] if description else "")

    def _is_kept_back(self, state: RoutingState, primaries: Shown, leader: str | None, now: Instant, patience_s: float) -> bool:
        """Tell whether the leader holds connections back in a switchover that this node has not read of, yet."""
        if not plan.is_held_by_its_leader(state, primaries, leader):
            self._held_since = None
            return False
        self._held_since = now if self._held_since is None else self._held_since
        return now - self._held_since < patience_s

    def _look(self, clock: Clock, until: Instant) -> Sight:
        self.sight = None
        self.sight = self._seen(self._client.ask(wire.show(*plan.backends_of(self._settings)), clock=clock, until=until))
        return self.sight

    def _seen(self, answer: str) -> Sight:
        try:
            backends = wire.tables(answer, plan.backends_of(self._settings))
        except GarbageError as error:
            raise PluginUnavailableError(f"haproxy {self.place}: {error}") from error
        if not backends and not answer.startswith("No such proxy"):
            raise PluginUnavailableError(f"haproxy {self.place}: not what HAProxy answers: {answer[:60]!r}")
        for name, shown in backends.items():
            self._checked[name].update(server.name for server in shown.servers.values() if server.is_checked)
        primaries = backends.get(self._settings.primary_backend)
        usable = [server.name for server in primaries.servers.values() if server.is_usable] if primaries is not None else []
        if primaries is not None:
            self._known = self._known.with_shown(primaries)
        return Sight(backends=backends, target=usable[0] if len(usable) == 1 else None)

    def _commands(self, backends: dict[str, Shown], state: RoutingState, leader: str | None, *, hold: bool) -> Iterable[str]:
        name = self._settings.primary_backend
        if name in backends:
            yield from plan.primary_commands(
                name, backends[name], leader=leader, hold=hold, token=self._known.token, closed=self._known.is_closed
            )
        name = self._settings.standby_backend or ""
        if name in backends:
            yield from plan.standby_commands(name, backends[name], state, self._settings.reads_from_leader)
        for name, shown in backends.items():
            known = self._checked[name] if state.valid_until is not None else ()  # the lease: nobody knows better what is in force
            may_be_off = shown.servers if self._may_be_unchecked else known
            yield from plan.check_commands(name, shown, is_paused=state.is_paused, may_be_off=may_be_off)

    def _tell(
        self, commands: tuple[str, ...], backends: dict[str, Shown], clock: Clock, until: Instant
    ) -> tuple[tuple[str, ...], dict[str, Shown]]:
        """Say it all in as few lines as hold it, and read in the last one what has come of it."""
        if not commands:
            return (), backends
        complaints: list[str] = []
        *lines, last = list(_lines(commands))
        for line in lines:
            complaints += wire.complaints(self._client.ask(line, clock=clock, until=until))
        answer = self._client.ask(f"{last};{wire.show(*plan.backends_of(self._settings))}", clock=clock, until=until)
        self.changes += len(commands)
        self.cuts += sum(command.startswith("shutdown") for command in commands)
        self.sight = self._seen(answer)
        return (*complaints, *wire.complaints(answer)), self.sight.backends

    def _cut_in_old_workers(self, leader: str | None, clock: Clock, until: Instant) -> tuple[str, ...]:
        if self.master is None:
            return ()
        try:
            self.cuts += self.master.cut_in_old_workers(self._settings.primary_backend, leader, clock=clock, until=until)
        except PluginUnavailableError as error:  # what new connections do is settled already
            return (str(error),)
        return ()


def _lines(commands: Iterable[str]) -> Iterable[str]:
    line: list[str] = []
    for command in commands:
        if line and sum(map(len, line)) + len(line) + len(command) > _LONGEST_LINE:
            yield ";".join(line)
            line = []
        line.append(command)
    yield ";".join(line)
