"""One PgBouncer as this agent drives it, and one that other agents drive. What follows from a state for each of them is done here."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import PluginContext
from hacore.http.resolver import Resolver
from hacore.interfaces import RoutingState
from hacore.model.clock import BootClock, Clock
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.console import Console
from hacore_router_pgbouncer.databases_file import DatabasesFile
from hacore_router_pgbouncer.pauses import Pauses
from hacore_router_pgbouncer.settings import PgbouncerSettings
from hacore_router_pgbouncer.watch import Watch, server_answers
from hacore_router_pgbouncer.way import Way

logger = logging.getLogger(__name__)

_LONGEST_LOGIN_RETRY_S: Final = 2.0
_TURN_S: Final = 1.0  # beside loop_wait, until a node has read what stands in the store
_PROMPT_S: Final = 0.8  # of the 1 s that a look may take
_FOLLOWS_S: Final = 2.0  # what PgBouncer leads to, after the agents have heard of the next leader
_ASK_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A state, and what it says to every PgBouncer."""

    state: RoutingState
    context: PluginContext
    shall_wait: bool  # new work, by the state
    is_next: bool  # this node has just heard of another leader


def bouncer_at(console: str, settings: PgbouncerSettings, *, reads: bool = False, timeout_s: float | None = None) -> Bouncer:
    """Return a way to a console, to be used by one thread at a time.

    :param reads: for the databases that lead to standbys too.
    """
    databases = (*settings.databases, *settings.standby_databases) if reads else settings.databases
    return Bouncer(Console(console, settings.password, timeout_s or settings.timeout_s), [one.name for one in databases])


class Pooler:
    """One of those that the settings name as ``console``."""

    def __init__(self, console: str, settings: PgbouncerSettings, file: DatabasesFile) -> None:
        self._settings = settings
        self._all, self._writing = bouncer_at(console, settings, reads=True), bouncer_at(console, settings)
        self.looking = bouncer_at(console, settings, reads=True, timeout_s=min(settings.timeout_s, _PROMPT_S))
        self.pauses = Pauses(self._writing)
        self._way = Way(settings, self._all, file)
        self._turn, self._resolver = threading.RLock(), Resolver(BootClock())
        self._watch = Watch(bouncer_at(console, settings), self._turn, self.pauses.expect)

    @property
    def name(self) -> str:
        """Where its console is."""
        return self._writing.name

    @property
    def waits(self) -> bool:
        """Tell whether clients wait because the primary takes nobody in."""
        return self._watch.waits

    def route(self, news: News) -> str:
        """Lead it where the file says, and let go or hold back what shall wait; return what is wrong.

        :raises PluginUnavailableError: it does not answer.
        """
        with self._turn:
            wrong = self._way.lead(news.state)
            self._watch_over(news)
            if news.shall_wait or self._watch.waits:
                self.pauses.hold()
            elif not news.state.is_paused or self.pauses.may_be_ours:  # in maintenance a person's PAUSE is a person's to end
                return self._let_go(news, wrong)
            return wrong

    def faults(self) -> Iterator[str]:
        """Return what PgBouncer itself says that is not as it must be."""
        retry, path = float(self._all.settings().get("server_login_retry", 0)), self._settings.databases_file
        if retry > _LONGEST_LOGIN_RETRY_S:
            yield f"pgbouncer.ini: server_login_retry is {retry:g}, want at most 2: for so long clients wait after each failover"
        if path is not None and not (self._all.databases() or os.access(path, os.F_OK)):
            yield f"pgbouncer.ini: knows none of our databases, want '%include {path}' in it"

    def close(self) -> None:
        """End the sessions. A pause stays: whoever routes next decides about it."""
        self._watch.close()
        for bouncer in (self._all, self._writing, self.looking):
            bouncer.close()

    def _let_go(self, news: News, wrong: str) -> str:
        """Let clients go on; return what is wrong."""
        clock = news.context.clock
        if wrong:
            self.pauses.let_go_late(clock)
        elif self.pauses.may_be_ours or news.state.leads or news.is_next:
            self._await_server(clock)
            self.pauses.let_go()
        else:  # this node may not have read of a switchover that the leader has begun
            return self.pauses.let_go_foreign(clock, news.context.times.loop_wait_s + _TURN_S)
        return wrong

    def _await_server(self, clock: Clock) -> None:
        """Give an address or a proxy that PgBouncer leads to a moment to follow, while clients wait: their logins would fail till then."""
        until = clock.now() + _FOLLOWS_S
        while self._writing.paused() and not server_answers(self._writing, self._resolver) and clock.now() < until:
            time.sleep(_ASK_AGAIN_S)

    def _watch_over(self, news: News) -> None:
        """Have the watch look after the leader, until a lease that it does not renew has ended in any case."""
        leader, times = news.state.leader, news.context.times
        is_off = news.shall_wait or leader is None or not self._settings.waits_without_leader
        place = None if is_off or leader is None else (news.state.token, leader.host, leader.port)
        self._watch.watch(place, times.ttl_s + times.loop_wait_s)


class Neighbour:
    """One of those that other nodes' agents drive, and that the leader pauses with its own: ``drain_consoles``."""

    def __init__(self, console: str, settings: PgbouncerSettings, file: DatabasesFile) -> None:
        self._bouncer = bouncer_at(console, settings)
        self.pauses = Pauses(self._bouncer)
        self._way = Way(settings, self._bouncer, file)

    def route(self, news: News, *, waits: bool) -> None:
        """Do what its own agent may not: end what is with an old primary, and let go what was forgotten.

        :param waits: there is a reason for pauses.
        """
        if waits or not news.state.leads:
            self.pauses.have_a_reason()
        try:
            self._way.follow(news.state)
            if news.state.leads and not waits:
                self.pauses.let_go_forgotten(news.context.clock, ours_alone=news.state.is_paused)
        except PluginUnavailableError as error:
            logger.debug("PgBouncer of another node does not answer", extra={"error": str(error)})

    def close(self) -> None:
        """End the session."""
        self._bouncer.close()
