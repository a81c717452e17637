"""The least agent: keeps a lease in a store that is a log file, and PostgreSQL running under it through the guard. For the tests beside it.

Its plan is a JSON file; files in the same directory steer it: ``store-down`` stops the renewals, ``pause`` makes it leave in pause,
``starting`` keeps it from listening to signals, ``fatal`` holds the code with which it ends at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hacore.daemon import exit_codes
from hacore.daemon.heartbeat import Heartbeat
from hacore.guard.client import GuardClient, GuardError
from hacore.guard.jobs import job_mark
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.guard.values import DisarmReason, GuardState, StartServer

TURN_S = 0.1


class Agent:
    def __init__(self, plan: dict[str, object], place: Path) -> None:
        self.place = place
        self.argv = tuple(str(word) for word in plan["argv"])  # type: ignore[attr-defined]
        self.data_dir = str(plan["data_dir"])
        self.ttl_s, self.margin_s, self.budget_s = (float(str(plan[name])) for name in ("ttl_s", "margin_s", "budget_s"))
        self.heartbeat = Heartbeat.from_environment(os.environ)
        self.client: GuardClient | None = None
        self.is_ending = False
        signal.signal(signal.SIGTERM, self.end)
        signal.signal(signal.SIGHUP, lambda *_: (place / "reloaded").touch())

    def end(self, *_: object) -> None:
        self.is_ending = True

    def note(self, name: str, line: str) -> None:
        with (self.place / name).open("a") as file:
            file.write(line + "\n")

    def token(self) -> int:
        path = self.place / "token"
        return int(path.read_text()) if path.exists() else 1

    def work(self) -> None:
        """Long work, as the real agent starts it."""
        job = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], env={**os.environ, **job_mark(os.environ)}, start_new_session=True)
        self.note("jobs", str(job.pid))

    def run(self) -> int:
        self.note("agents", str(os.getpid()))
        if (self.place / "work").exists():
            self.work()
        while not self.is_ending:
            if self.heartbeat is not None:
                self.heartbeat.set_limit(self.ttl_s)
                self.heartbeat.beat()
            try:
                self.turn()
            except GuardError as error:
                self.note("errors", str(error))
                self.client = None
            time.sleep(TURN_S)
        return self.stop()

    def turn(self) -> None:
        if self.client is None:
            self.client = GuardClient.connect(str(self.place / "state"), 0.5)
            state = self.client.attach()
        else:
            state = self.client.state()
        sent_ns = boot_ns()
        if (self.place / "store-down").exists():
            return
        self.note("renewals", str(sent_ns))
        deadline_ns = sent_ns + int((self.ttl_s - self.margin_s - self.budget_s) * NS_PER_S)
        if not state.armed:
            self.acquire(self.client, state, deadline_ns)
        self.client.renew(deadline_ns)
        if state.server_pid is None and not state.is_ending:
            self.bring_up(self.client)

    def acquire(self, client: GuardClient, state: GuardState, deadline_ns: int) -> None:
        if state.fired is not None:
            (self.place / "token").write_text(str(state.fired.token + 1))
        client.arm(self.token(), deadline_ns, self.budget_s)

    def bring_up(self, client: GuardClient) -> None:
        foreign = self.place / "foreign"
        if foreign.exists():
            client.adopt(int(foreign.read_text()))
            return
        log = str(self.place / "postgres.log")
        answer = client.start(
            StartServer(argv=self.argv, env=dict(os.environ), cwd=self.data_dir, log_path=log, token=self.token(), standby=False)
        )
        self.note("starts", repr(answer))

    def stop(self) -> int:
        if self.client is None:
            return exit_codes.OK
        if (self.place / "pause").exists():
            self.client.disarm(DisarmReason.PAUSED)
            self.client.leave()
            return exit_codes.SERVER_LEFT
        if self.client.state().server_pid is not None:
            self.client.signal(signal.SIGINT)
        while self.client.state().server_pid is not None:
            if self.heartbeat is not None:
                self.heartbeat.beat()
            time.sleep(0.02)
        self.client.disarm(DisarmReason.STOPPED)
        return exit_codes.OK


def main() -> int:
    path = Path(sys.argv[1])
    if (path.parent / "starting").exists():
        (path.parent / "begun").touch()
        time.sleep(600)  # before it listens to signals
    fatal = path.parent / "fatal"
    if fatal.exists():
        return int(fatal.read_text())
    return Agent(json.loads(path.read_text()), path.parent).run()


if __name__ == "__main__":
    sys.exit(main())
