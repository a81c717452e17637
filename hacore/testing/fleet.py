"""Many agents in one process on one real store: the real loop and the store's own client, around servers of paper.

It measures what the agents do to a store, and what the store does to them: each renewal, when it was sent and how long it took. One thread
runs each agent, and each session has its own, as in the agent's process.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import Dcs, Put, Refused, Renewed, RenewRequest, WriteRequest
from hacore.loop import Loop
from hacore.model.clock import BootClock, Instant
from hacore.model.policy import Policy, Times
from hacore.model.world import Me
from hacore.ports import Ports
from hacore.testing.paper import SYSTEM_ID, PaperCluster, PaperDisk, PaperFence, PaperPeers, PaperServer, PaperWorker
from hacore.testing.simulation.settings import AgentSettings

NAMESPACE: Final = "/fleet/"
_SEED_S: Final = 10.0
_JOIN_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """One renewal of one leader."""

    cluster: str
    member: str
    asked_at: Instant
    took_s: float
    is_done: bool


@dataclass(slots=True)
class Log:
    """What all agents of a process have seen."""

    renewals: list[Renewal] = field(default_factory=list)
    turns: int = 0
    failures: list[str] = field(default_factory=list)  # calls that were not answered in time

    def gaps_s(self, since: Instant) -> list[float]:
        """Return the times between the renewals of each holding, one after the other, from an instant on."""
        last: dict[str, Instant] = {}
        found = []
        for one in sorted(self.renewals, key=lambda one: one.asked_at):
            if not one.is_done:
                continue
            if one.cluster in last and one.asked_at >= since:
                found.append(one.asked_at - last[one.cluster])
            last[one.cluster] = one.asked_at
        return found

    def holders(self) -> dict[str, str]:
        """Return who renewed last, in each cluster."""
        return {one.cluster: one.member for one in sorted(self.renewals, key=lambda one: one.asked_at)}


class _Timed:
    """A session that notes renewals and failures."""

    def __init__(self, session: Dcs, cluster: str, member: str, log: Log) -> None:
        self._session, self._cluster, self._member, self._log = session, cluster, member, log
        self._clock = BootClock()

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        asked_at, is_done = self._clock.now(), False
        try:
            answer = self._session.renew(request, timeout_s=timeout_s)
            is_done = isinstance(answer, Renewed)
        except DcsUnavailableError as error:
            self._log.failures.append(str(error))
            raise
        finally:
            took_s = self._clock.now() - asked_at
            self._log.renewals.append(
                Renewal(cluster=self._cluster, member=self._member, asked_at=asked_at, took_s=took_s, is_done=is_done)
            )
        return answer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every other call as it is
        return getattr(self._session, name)


class _Agent:
    """A loop on a thread."""

    def __init__(self, loop: Loop, session: Dcs, log: Log) -> None:
        self._loop, self._session, self._log = loop, session, log
        self._clock = BootClock()
        self._wake = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        self._session.watch(self._wake.set)
        self._thread.start()

    def stop(self) -> None:
        self._is_over = True
        self._wake.set()

    def join(self) -> None:
        self._thread.join(_JOIN_S)
        self._session.close()

    def _live(self) -> None:
        while not self._is_over:
            turn = self._loop.turn()
            self._log.turns += 1
            self._wake.wait(max(0.0, turn.next_at - self._clock.now()))
            self._wake.clear()


class Fleet:
    """Clusters of agents on one store.

    :param plugin: the store's class, as its entry point names it, with ``settings`` as its schema makes them.
    :param bytes_per_s: how fast each cluster's WAL grows: positions are published in each turn.
    """

    def __init__(self, plugin: Callable[[Any], Any], settings: object, *, times: Times, bytes_per_s: float = 0.0) -> None:
        self._plugin, self.settings, self._times, self._bytes_per_s = plugin, settings, times, bytes_per_s
        self._agents: list[_Agent] = []
        self.log = Log()
        self.clusters: dict[str, PaperCluster] = {}

    @contextmanager
    def running(self, names: list[str], *, members: int) -> Iterator[None]:
        """Run agents in clusters of these names; their first turns are spread over a loop's time."""
        pause_s = self._times.loop_wait_s / (len(names) * members)
        spread = threading.Event()
        try:
            for name in names:
                self._seed(name)
                self.clusters[name] = PaperCluster(BootClock(), self._bytes_per_s)
                for number in range(members):
                    self._add(name, f"m{number}")
                    spread.wait(pause_s)
            yield
        finally:
            for agent in self._agents:
                agent.stop()
            for agent in self._agents:
                agent.join()

    def leaders(self) -> list[str]:
        """Return the clusters that have a primary."""
        return [name for name, one in self.clusters.items() if any(server.role == "primary" for server in one.servers.values())]

    def _seed(self, name: str) -> None:
        """Make it a cluster that has been initialized, and whose members come up again."""
        session = self._open(name, "seed", observer=True)
        try:
            session.write(WriteRequest(puts=(Put(name="initialize", value=SYSTEM_ID),)), timeout_s=_SEED_S)
        finally:
            session.close()

    def _add(self, name: str, member: str) -> None:
        clock, cluster = BootClock(), self.clusters[name]
        config = {"ttl": self._times.ttl_s, "loop_wait": self._times.loop_wait_s, "retry_timeout": self._times.retry_timeout_s}
        me = Me(
            name=member,
            scope=name,
            conn_url=f"postgres://{member}:5432/postgres",
            api_url=f"http://{member}:8008/patroni",
            bootstrap_config=json.dumps({"hacore": config}),
        )
        server = PaperServer(member, cluster)
        session = self._open(name, member)
        ports = Ports(
            clock=clock,
            dcs=_Timed(session, name, member, self.log),  # the rest by __getattr__
            postgres=server,
            worker=PaperWorker(server),
            fence=PaperFence(clock),
            peers=PaperPeers(cluster),
            disk=PaperDisk(),
            settings=AgentSettings(me, Policy(times=self._times), me.bootstrap_config or "{}"),
            boot_id="fleet",
        )
        agent = _Agent(Loop(ports), session, self.log)
        self._agents.append(agent)
        agent.start()

    def _open(self, name: str, member: str, *, observer: bool = False) -> Dcs:
        policy = Policy(times=self._times)
        context = PluginContext(scope=name, namespace=NAMESPACE, member=member, clock=BootClock(), policy=policy)
        session: Dcs = self._plugin(self.settings).hacore_open_dcs(OpenDcs(context=context, observer=observer))
        return session
