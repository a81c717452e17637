"""One node of real programs for a test: the guard, the server under it, the worker; everything but a store."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import BootstrapSettings, ToolOption
from hacore.errors import DataDirectoryError
from hacore.guard.client import GuardClient
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.interfaces import Job
from hacore.model.job_steps import kind_of
from hacore.model.jobs import Outcome
from hacore.model.lsn import Lsn
from hacore.model.node import NodeState, Role, ServerState, Upstream
from hacore.model.steps import Bootstrap, CreateReplica, JobStep, Promote, StartServer
from hacore.postgres.connection import Connection
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.server import PostgresNode
from hacore.postgres.surroundings import ReplicaSite, RestoredFiles, RestoreOrder, RestoreSettings, Surroundings
from hacore.postgres.worker import JobWorker
from tests.unit.postgres.samples import settings

Change = Callable[[PostgresSettings], PostgresSettings]
INITDB = BootstrapSettings(dcs={}, method=None, initdb=(ToolOption(name="no-sync", value=None),), pg_hba=(), post_bootstrap=None)
ROOT = Path(__file__).parents[3]
GUARDED_FOR_S = 600  # a test that is killed leaves nothing for longer


def basebackup(site: ReplicaSite, job: Job) -> RestoreSettings:
    """What the built-in method does, in three lines."""
    assert site.source is not None
    site.clean()
    options = ("--no-sync", "-X", "stream", "--checkpoint=fast", f"--pgdata={site.data_dir}", f"--dbname={site.source.conninfo}")
    argv = [site.programs["pg_basebackup"], *options]
    finished = job.run(argv, environment=site.environment)
    assert finished.exit_code == 0, finished.output
    return ()


def no_repository(order: RestoreOrder, _: JobHandle) -> RestoredFiles:
    """One that does not answer."""
    raise DataDirectoryError(f"{order.data_dir}: the repository is away")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the nodes of a test are."""

    directory: Path
    bin_dir: str
    nodes: dict[str, "Node"]


class Node:
    """A node called ``name`` below ``directory``."""

    def __init__(self, site: Site, name: str, port: int, change: Change, bootstrap: BootstrapSettings) -> None:
        directory, nodes = site.directory, site.nodes
        self.name, self.port, self.nodes = name, port, nodes
        self.data_dir = directory / name
        self.state_dir = directory / f"{name}.hacore"
        self.state_dir.mkdir(mode=0o700)
        self.bootstrap = bootstrap
        usual = settings(str(self.data_dir), name=name, port=port, bin_dir=site.bin_dir)
        self.settings = change(replace(usual, parameters={**usual.parameters, "unix_socket_directories": str(directory)}))
        self.guard_process = subprocess.Popen(
            (sys.executable, "-m", "hacore.guard", str(self.state_dir), str(self.data_dir)), cwd=ROOT, start_new_session=True
        )
        self.guard = GuardClient.connect(str(self.state_dir), 10.0)
        self.guard.attach()
        self.token: int | None = None
        self.ended = threading.Event()
        self.shut_down: list[Lsn] = []
        self.around_vetoes = False
        self.create_replica: Callable[[ReplicaSite, Job], RestoreSettings] = basebackup
        self.restore_files: Callable[[RestoreOrder, JobHandle], RestoredFiles] = no_repository
        self.adopt_agent()
        nodes[name] = self

    def adopt_agent(self) -> None:
        """A fresh agent beside whatever runs: nothing remembered but what is on the disk."""
        self.instance = Instance(self.settings, launcher=self.guard, bootstrap=self.bootstrap, state_dir=str(self.state_dir))
        self.postgres = PostgresNode(self.instance)
        self.worker = JobWorker(self.instance, self.around())

    def around(self) -> Surroundings:
        return Surroundings(
            address_of=lambda name: ("127.0.0.1", self.nodes[name].port) if name in self.nodes else None,
            create_replica=self._create_replica,
            restore_files=self._restore_files,
            after_bootstrap=self._after_bootstrap,
            on_shut_down=self.shut_down.append,
            on_end=self.ended.set,
        )

    def _after_bootstrap(self, conninfo: str, passfile: str) -> None:
        assert "password" not in conninfo
        assert Path(passfile).exists()
        if self.around_vetoes:
            raise DataDirectoryError("vetoed")

    def change(self, **settings: Any) -> None:
        """Put other settings in force."""
        self.settings = replace(self.settings, **settings)
        self.postgres.configure(self.settings)

    def _create_replica(self, site: ReplicaSite, job: Job) -> RestoreSettings:
        return self.create_replica(site, job)

    def _restore_files(self, order: RestoreOrder, job: JobHandle) -> RestoredFiles:
        return self.restore_files(order, job)

    def lead(self, token: int = 1) -> None:
        """Hold the lease, as far as the guard is told."""
        self.guard.arm(token, boot_ns() + GUARDED_FOR_S * NS_PER_S, 2.0)
        self.token = token

    def submit(self, step: JobStep) -> None:
        self.ended.clear()
        assert self.worker.submit(step, token=self.token)

    def wait(self, step: JobStep, timeout_s: float = 60.0) -> Outcome:
        assert self.ended.wait(timeout_s), f"{step} does not end"
        return next(outcome for outcome in self.worker.outcomes() if outcome.kind is kind_of(step))

    def run(self, step: JobStep, timeout_s: float = 60.0) -> Outcome:
        self.submit(step)
        return self.wait(step, timeout_s)

    def do(self, step: JobStep, timeout_s: float = 60.0) -> None:
        outcome = self.run(step, timeout_s)
        assert outcome.is_done, outcome.error

    def read(self, timeout_s: float = 3.0) -> NodeState:
        return self.postgres.read(timeout_s=timeout_s)

    def until(self, holds: Callable[[NodeState], bool], timeout_s: float = 20.0) -> NodeState:
        end = time.monotonic() + timeout_s
        while True:
            state = self.read()
            if holds(state):
                return state
            assert time.monotonic() < end, state
            time.sleep(0.02)

    def sql(self, statement: str, parameters: Sequence[object] | None = None, *, timeout_s: float = 10.0) -> list[tuple[Any, ...]]:
        session = self.session()
        try:
            return session.query(statement, parameters, timeout_s=timeout_s)
        finally:
            session.close()

    def session(self) -> Connection:
        return self.instance.session(database="postgres")

    def create_cluster(self) -> None:
        self.lead()
        self.do(Bootstrap())

    def follow_from_scratch(self, leader: "Node", *, slot: str | None = None) -> None:
        """Become a standby of ``leader`` by a base backup."""
        self.do(CreateReplica(leader=leader.name, source=leader.name, system_id=leader.read().system_id))
        self.start_standby(leader, slot=slot)

    def start_standby(self, leader: "Node | None", *, slot: str | None = None) -> None:
        self.do(StartServer(role=Role.STANDBY, upstream=leader.as_upstream(slot) if leader else NOBODY))

    def as_upstream(self, slot: str | None = None) -> Upstream:
        return Upstream(member=self.name, host="127.0.0.1", port=self.port, slot=slot)

    def promote(self, timeline: int) -> Outcome:
        return self.run(Promote(timeline=timeline))

    def end(self) -> None:
        self.worker.cancel("the test is over")
        if self.worker.state() is not None:
            self.ended.wait(20)
        if self.instance.processes.alive():
            self.guard.end(kill=True)
        end = time.monotonic() + 10
        while self.instance.processes.alive() and time.monotonic() < end:
            time.sleep(0.02)
        assert self.read().server is ServerState.STOPPED
        self.postgres.close()
        self.guard.quit()
        self.guard_process.wait(10)
