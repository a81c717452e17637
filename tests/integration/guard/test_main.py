"""The table of the house plan, row by row: who may be killed or stopped, and what must happen, with a session that commits meanwhile."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.daemon.memory import MEMORY_NAME
from hacore.guard.client import GuardError
from hacore.guard.jobs import leftovers
from hacore.guard.values import FenceKind
from hacore.testing.history import WriteLoad
from hacore.testing.workdir import server_user
from tests.integration.guard.harness import Site, environment, is_alive, now_s, until

AT_ONCE_S = 1.0


class Node:
    """A running main process with everything below it, and a write load."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.main = site.run_main()
        self.load = WriteLoad({"n1": site.dsn}, deadline_s=5.0).start(timeout_s=30.0)

    @property
    def agent(self) -> int:
        return self.site.numbers("agents")[-1]

    @property
    def rest(self) -> int:
        return self.site.numbers("rests")[-1]

    @property
    def guard(self) -> int:
        with self.site.connect() as looker:
            return looker.state().guard_pid

    @property
    def postmaster(self) -> int | None:
        with self.site.connect() as looker:
            return looker.state().server_pid

    def has_other_guard(self, than: int) -> bool:
        try:
            return self.guard != than
        except GuardError:
            return False  # the socket is still that of the guard before

    def everyone(self) -> list[int]:
        return [self.main.pid, self.agent, self.rest, self.guard]

    def commits_after(self, instant_s: float) -> None:
        until(lambda: (self.load.progress().last_ack_at or {}).get("n1", 0.0) > instant_s, within_s=30.0)

    def last_ack(self, before_s: float) -> float:
        acks = [ack for ack in self.load.stop(timeout_s=0.5).acks["n1"] if ack < before_s]
        return acks[-1]


@pytest.fixture
def node(site: Site) -> Iterator[Node]:
    started = Node(site)
    yield started
    started.load.stopping.set()


def test_an_agent_that_is_killed_comes_back_beside_the_same_postgresql(node: Node) -> None:
    agent, postmaster = node.agent, node.postmaster
    killed_s = now_s()
    os.kill(agent, signal.SIGKILL)
    until(lambda: node.agent != agent)
    node.commits_after(now_s() + 4.5)  # past F of the last renewal of the agent before
    assert node.postmaster == postmaster
    assert (node.load.stop().gap_ms(killed_s) or 0.0) < 1000


def test_an_agent_that_is_stopped_takes_writes_to_an_end_by_f_and_is_replaced(node: Node) -> None:
    agent, stopped_s = node.agent, now_s()
    os.kill(agent, signal.SIGSTOP)
    until(lambda: node.agent != agent, within_s=20.0)
    replaced_s = now_s()
    assert not is_alive(agent)
    node.commits_after(replaced_s)
    assert stopped_s < node.last_ack(before_s=replaced_s) < node.site.end_of_lease_s(before_s=replaced_s - 1.0)
    assert int((node.site.place / "token").read_text()) == 2


@pytest.mark.parametrize("victim", ["agent", "main"])
def test_long_work_of_an_agent_that_was_killed_is_ended_before_the_next_begins(site: Site, victim: str) -> None:
    site.touch("work")
    node = Node(site)
    job, agent = site.numbers("jobs")[-1], node.agent
    work = until(lambda: leftovers(str(site.state_dir)) if len(leftovers(str(site.state_dir))) > 1 else None)
    assert job in work
    (site.place / "work").unlink()
    if victim == "main":
        node.main.kill()
        node.main = site.run_main()
    else:
        os.kill(agent, signal.SIGKILL)
    until(lambda: node.agent != agent)
    assert not any(is_alive(pid) for pid in work)
    node.commits_after(now_s())
    node.load.stopping.set()


def test_the_rest_server_is_restarted_and_nobody_notices(node: Node) -> None:
    rest, agent, postmaster, killed_s = node.rest, node.agent, node.postmaster, now_s()
    os.kill(rest, signal.SIGKILL)
    until(lambda: node.rest != rest)
    assert (node.agent, node.postmaster) == (agent, postmaster)
    node.commits_after(now_s())
    assert (node.load.stop().gap_ms(killed_s) or 0.0) < 1000


def test_a_new_main_process_finds_the_guard_and_its_server(node: Node) -> None:
    guard, postmaster, children, killed_s = node.guard, node.postmaster, (node.agent, node.rest), now_s()
    node.main.kill()
    until(lambda: not any(is_alive(pid) for pid in children), within_s=AT_ONCE_S)
    node.main = node.site.run_main()
    until(lambda: node.agent not in children and node.rest not in children)
    node.commits_after(now_s() + 4.5)
    assert (node.guard, node.postmaster) == (guard, postmaster)
    assert (node.load.stop().gap_ms(killed_s) or 0.0) < 1000


def test_a_guard_that_is_killed_takes_postgresql_along_and_both_come_back(node: Node) -> None:
    guard, agent, killed_s = node.guard, node.agent, now_s()
    os.kill(guard, signal.SIGKILL)
    until(lambda: node.has_other_guard(guard))
    back_s = now_s()
    node.commits_after(back_s)
    report = node.load.stop()
    assert node.agent == agent
    assert (report.gap_ms(killed_s) or 0.0) < 4000  # well before F
    assert not report.problems()
    assert int((node.site.place / "token").read_text() if (node.site.place / "token").exists() else 1) == 1


def test_a_guard_that_is_stopped_is_ended_by_the_kernel_before_f(node: Node) -> None:
    guard, stopped_s = node.guard, now_s()
    os.kill(guard, signal.SIGSTOP)
    until(lambda: not is_alive(guard), within_s=10.0)
    dead_s = now_s()
    assert dead_s < node.site.end_of_lease_s(before_s=stopped_s + 0.2)
    node.commits_after(dead_s + 0.5)
    assert node.load.stop().gap_ms(stopped_s)


@pytest.mark.parametrize("order", ["guard first", "guard last"])
def test_when_everything_is_killed_the_kernel_ends_postgresql_at_once(node: Node, order: str) -> None:
    victims = node.everyone()
    if order == "guard first":
        victims.reverse()
    killed_s = now_s()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not node.site.server_processes(), within_s=AT_ONCE_S)
    assert node.last_ack(before_s=now_s()) < killed_s + AT_ONCE_S


def test_when_everything_is_stopped_the_kernel_timer_ends_writes_before_f(node: Node) -> None:
    victims = node.everyone()
    for pid in victims:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: not node.site.server_processes(), within_s=10.0)
    gone_s = now_s()
    end_s = node.site.end_of_lease_s()
    assert gone_s < end_s
    assert node.last_ack(before_s=gone_s + 1.0) < end_s


def test_when_renewals_end_writes_end_by_f_and_a_new_token_brings_them_back(node: Node) -> None:
    node.site.touch("store-down")
    until(lambda: not node.site.server_processes(), within_s=10.0)
    gone_s, end_s = now_s(), node.site.end_of_lease_s()
    assert gone_s < end_s
    until(lambda: now_s() > end_s + 0.5)
    back_s = now_s()
    (node.site.place / "store-down").unlink()
    node.commits_after(back_s)
    report = node.load.stop()
    assert not report.problems()
    assert report.acks_between("n1", gone_s, back_s) == 0
    assert int((node.site.place / "token").read_text()) == 2


def test_in_pause_guard_and_server_stay_and_are_adopted_later(node: Node) -> None:
    guard, postmaster, left_s = node.guard, node.postmaster, now_s()
    node.site.touch("pause")
    node.main.terminate()
    assert node.main.wait(10) == 0
    assert node.site.ours() == [guard]
    node.commits_after(now_s() + 6.0)
    (node.site.place / "pause").unlink()
    node.main = node.site.run_main()
    node.commits_after(now_s() + 1.0)
    assert (node.guard, node.postmaster) == (guard, postmaster)
    assert (node.load.stop().gap_ms(left_s) or 0.0) < 1000


@pytest.mark.parametrize("is_paused", [True, False])
@pytest.mark.parametrize("way", ["while it starts", "between two starts"])
def test_an_end_that_the_agent_says_nothing_about_leaves_the_server_only_in_pause(node: Node, way: str, is_paused: bool) -> None:
    guard, postmaster, place = node.guard, node.postmaster, node.site.place
    node.site.touch("pause")
    node.main.terminate()
    assert node.main.wait(10) == 0
    (node.site.state_dir / MEMORY_NAME).write_text(json.dumps({"token": 1, "paused": is_paused}))
    if way == "while it starts":
        node.site.touch("starting")
    else:
        (place / "fatal").write_text("70")
    node.main = node.site.run_main()
    until(lambda: (place / "begun").exists() or "the agent ended with 70" in (place / "main.log").read_text())
    node.main.terminate()
    assert node.main.wait(30) == 0
    if is_paused:
        assert node.site.ours() == [guard]
        assert node.postmaster == postmaster
        node.commits_after(now_s())
    else:
        until(lambda: not node.site.ours() and not node.site.server_processes(), within_s=AT_ONCE_S)


def test_an_orderly_end_leaves_nothing_behind(node: Node) -> None:
    node.main.terminate()
    node.main.terminate()  # a second one changes nothing
    assert node.main.wait(10) == 0
    until(lambda: not node.site.ours() and not node.site.server_processes(), within_s=AT_ONCE_S)
    assert "database system is shut down" in (node.site.place / "postgres.log").read_text().splitlines()[-1]


def test_a_server_that_somebody_else_started_is_adopted_and_guarded_by_the_deadline(site: Site) -> None:
    foreign = site.run(list(site.argv), "foreign.log")
    (site.place / "foreign").write_text(str(foreign.pid))
    node = Node(site)
    with site.connect() as looker:
        assert until(lambda: looker.state().server_pid) == foreign.pid
        assert looker.state().fence is FenceKind.PARTIAL
    node.site.touch("store-down")
    until(lambda: foreign.poll() is not None and not site.server_processes(), within_s=10.0)
    assert now_s() < site.end_of_lease_s()
    node.load.stopping.set()


def test_a_bad_reload_is_refused_and_a_good_one_reaches_both_children(node: Node) -> None:
    plan = node.site.place / "plan.json"
    good = plan.read_text()
    plan.write_text("{")
    node.main.send_signal(signal.SIGHUP)
    until(lambda: "refused as a whole" in (node.site.place / "main.log").read_text())
    assert not (node.site.place / "reloaded").exists()
    plan.write_text(good)
    node.main.send_signal(signal.SIGHUP)
    until(lambda: (node.site.place / "reloaded").exists() and (node.site.place / "rest-reloaded").exists())


def test_a_wrong_configuration_at_start_is_exit_code_2(site: Site) -> None:
    main = site.run_main()
    (site.place / "plan.json").write_text("{")
    assert main.wait(10) == 2


@pytest.mark.parametrize("code", [1, 2])
def test_an_agent_that_cannot_go_on_ends_the_main_process_and_leaves_postgresql_alone(node: Node, code: int) -> None:
    postmaster = node.postmaster
    (node.site.place / "fatal").write_text(str(code))
    os.kill(node.agent, signal.SIGKILL)
    assert node.main.wait(10) == code
    assert node.postmaster == postmaster


def test_a_second_main_process_for_the_same_data_directory_is_refused(node: Node) -> None:
    plan = (node.site.place / "plan.json").read_text()
    second = node.site.run_main()
    assert second.wait(10) == 1
    assert (node.site.place / "plan.json").read_text() == plan
    assert node.main.poll() is None


def test_root_is_refused(site: Site) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can try to start it as root")
    found = subprocess.run(
        [sys.executable, "-m", "hacore.daemon", "/nonexistent"], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert found.returncode == 1
    assert "not as root" in found.stderr
    assert site.ours() == []


def test_the_service_manager_hears_ready_watchdog_reload_and_stop(site: Site) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(site.place / "notify"))
        (site.place / "notify").chmod(0o777)
        manager.settimeout(15)
        main = site.run_main(NOTIFY_SOCKET=str(site.place / "notify"), WATCHDOG_USEC="4000000")
        assert manager.recv(1000).startswith(b"READY=1")
        assert manager.recv(1000) == b"WATCHDOG=1"
        assert manager.recv(1000) == b"WATCHDOG=1"
        main.send_signal(signal.SIGHUP)
        heard = [manager.recv(1000) for _ in range(3)]
        assert [line.split(b"=")[0] for line in heard if not line.startswith(b"WATCHDOG")][:2] == [b"RELOADING", b"READY"]
        main.terminate()
        until(lambda: manager.recv(1000) == b"STOPPING=1")
        assert main.wait(10) == 0


def test_the_watchdog_is_not_fed_while_the_guard_does_not_answer(site: Site) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(site.place / "notify"))
        (site.place / "notify").chmod(0o777)
        site.touch("store-down")  # nothing is armed, so the kernel does not end the guard
        manager.settimeout(15)
        site.run_main(NOTIFY_SOCKET=str(site.place / "notify"), WATCHDOG_USEC="4000000")
        until(lambda: manager.recv(1000) == b"WATCHDOG=1")
        with site.connect() as looker:
            os.kill(looker.state().guard_pid, signal.SIGSTOP)
        until(lambda: not is_heard(manager, within_s=3.0))


def is_heard(manager: socket.socket, within_s: float) -> bool:
    manager.settimeout(within_s)
    try:
        return bool(manager.recv(1000))
    except TimeoutError:
        return False


class TestInAContainer:
    """The main process as process 1 of a process namespace, as an image would run it."""

    @pytest.fixture
    def container(self, site: Site) -> subprocess.Popen[bytes]:
        user = server_user()
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv = (
            [*unshare, "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *site.main_argv()]
            if user is not None
            else [*unshare, "--map-current-user", *site.main_argv()]
        )
        with (site.place / "main.log").open("ab") as log:
            process = subprocess.Popen(argv, env=environment(), stdout=log, stderr=log, cwd="/")
        site.started.append(process)
        WriteLoad({"n1": site.dsn}).start().stop()
        return process

    def main_of(self, site: Site) -> int:
        return next(pid for pid in site.ours() if b"programs/main.py" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1])

    @pytest.mark.parametrize("is_paused", [False, True])
    def test_the_end_of_the_container_is_an_orderly_end_of_postgresql(
        self, site: Site, container: subprocess.Popen[bytes], is_paused: bool
    ) -> None:
        if is_paused:
            site.touch("pause")
        os.kill(self.main_of(site), signal.SIGTERM)
        assert container.wait(15) == 0
        assert not site.ours()
        assert not site.server_processes()
        assert "database system is shut down" in (site.place / "postgres.log").read_text().splitlines()[-1]

    def test_orphans_are_reaped(self, site: Site, container: subprocess.Popen[bytes]) -> None:
        main = self.main_of(site)
        enter = ["nsenter", "--target", str(main), "--pid", "sh", "-c", "sleep 0.1 & exit 0"]
        subprocess.run(enter, check=True, timeout=10)
        time.sleep(0.3)
        until(lambda: not zombies_of(main))
        assert container.poll() is None


def zombies_of(parent: int) -> list[str]:
    found = subprocess.run(["ps", "--ppid", str(parent), "-o", "stat="], capture_output=True, text=True, timeout=10, check=False)
    return [line for line in found.stdout.split() if line.startswith("Z")]
