"""An agent of its own process for a test that kills it: connects to a guard that runs, creates the cluster, and waits."""

import sys
import time

from hacore.guard.client import GuardClient
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.model.steps import Bootstrap
from hacore.postgres.instance import Instance
from hacore.postgres.surroundings import ReplicaSite, RestoreSettings, Surroundings
from hacore.postgres.worker import JobWorker
from tests.integration.postgres.node import INITDB
from tests.unit.postgres.samples import settings


def no_replica(_site: ReplicaSite, _job: object) -> RestoreSettings:
    raise AssertionError("not asked for")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(data_dir: str, state_dir: str, port: str, bin_dir: str) -> None:
    guard = GuardClient.connect(state_dir, 10.0)
    guard.attach()
    guard.arm(1, boot_ns() + 600 * NS_PER_S, 2.0)
    wanted = settings(data_dir, port=int(port), bin_dir=bin_dir)
    instance = Instance(wanted, launcher=guard, bootstrap=INITDB, state_dir=state_dir)
    worker = JobWorker(instance, Surroundings(address_of=lambda _: None, create_replica=no_replica))
    worker.submit(Bootstrap(), token=1)
    say("begun")
    while worker.state() is not None:
        time.sleep(0.01)
    say(str(worker.outcomes()[0].error))
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
