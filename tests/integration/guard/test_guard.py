"""The guard alone with a real PostgreSQL: the deadline, its latch, forced ends, and what it refuses."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from hacore.guard.client import GuardClient, GuardError, GuardRefusedError, GuardTimeoutError
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.guard.launch import guard_argv
from hacore.guard.process import EXIT_LOCKED
from hacore.guard.values import DisarmReason, FenceKind, StartRefused
from hacore.testing.history import Session, WriteLoad
from hacore.testing.workdir import give_away
from tests.integration.guard.harness import Site, as_user, is_alive, now_s, until

BUDGET_S = 1.0


def deadline_in(seconds: float) -> int:
    return boot_ns() + int(seconds * NS_PER_S)


def start_primary(site: Site, client: GuardClient, token: int | None = None) -> int:
    answer = client.start(site.server(token))
    assert isinstance(answer, int), answer
    until(lambda: can_connect(site))
    return answer


def can_connect(site: Site) -> bool:
    try:
        Session(site.dsn).close()
    except psycopg2.Error:
        return False
    return True


def backend_of(session: Session) -> int:
    return int(session.query("SELECT pg_backend_pid()", deadline_s=5)[0][0])


class Busy(threading.Thread):
    """A session whose backend computes for seconds without a look at anything, and then would answer its commit."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.session = Session(site.dsn)
        self.backend = backend_of(self.session)
        self.answered = False

    def run(self) -> None:
        burn = "DO $$ BEGIN FOR i IN 1..1000000000 LOOP END LOOP; CREATE TABLE committed (); END $$"
        try:
            self.session.query(burn, deadline_s=60)
            self.answered = True
        except psycopg2.Error:
            self.answered = False


def test_at_the_deadline_every_process_of_the_server_ends_within_the_budget(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    start_primary(site, client, token=1)
    load = WriteLoad({"n1": site.dsn}, writers=20, pace_s=0.0).start()
    deadline_ns = deadline_in(0.7)
    client.renew(deadline_ns)
    fired = until(lambda: client.state().fired)
    assert site.server_processes() == []
    assert load.stop(timeout_s=0.1).acks["n1"][-1] < deadline_ns / NS_PER_S + BUDGET_S / 2
    assert (fired.token, fired.remaining) == (1, 0)
    assert fired.took_s < BUDGET_S
    assert 0 <= fired.at_ns - deadline_ns < NS_PER_S // 5


def test_a_deadline_that_is_renewed_in_time_changes_nothing(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(0.5), BUDGET_S)
    pid = start_primary(site, client, token=1)
    ends_s = now_s() + 1.5
    while now_s() < ends_s:
        client.renew(deadline_in(0.5))
        time.sleep(0.05)
    state = client.state()
    assert (state.server_pid, state.armed, state.fired, state.fence) == (pid, True, None, FenceKind.FULL)


def test_a_fence_that_fired_stays_so_until_a_larger_token_is_armed(site: Site, client: GuardClient) -> None:
    client.arm(5, deadline_in(0.1), BUDGET_S)
    until(lambda: client.state().fired)
    client.renew(deadline_in(60))
    assert isinstance(client.start(site.server(5)), StartRefused)
    assert isinstance(client.start(site.server()), StartRefused)
    for token in (4, 5):
        with pytest.raises(GuardRefusedError):
            client.arm(token, deadline_in(60), BUDGET_S)
    standby = client.start(site.server(standby=True))
    assert isinstance(standby, int)
    with pytest.raises(GuardRefusedError):
        client.signal(signal.SIGUSR1, token=5)
    client.end()
    client.arm(6, deadline_in(60), BUDGET_S)
    assert client.state().fired is None
    assert isinstance(client.start(site.server(6)), int)


def test_a_primary_starts_only_under_the_token_that_is_armed(site: Site, client: GuardClient) -> None:
    assert isinstance(client.start(site.server(1)), StartRefused)
    client.arm(1, deadline_in(60), BUDGET_S)
    assert isinstance(client.start(site.server(2)), StartRefused)
    assert isinstance(client.start(site.server(1)), int)
    assert isinstance(client.start(site.server(1)), StartRefused)  # one runs already


def test_a_deadline_in_the_past_is_not_armed(client: GuardClient) -> None:
    with pytest.raises(GuardRefusedError):
        client.arm(1, deadline_in(-1), BUDGET_S)
    assert not client.state().armed


def test_disarmed_is_what_the_server_is_stopped_for_or_the_agent_answers_for(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    start_primary(site, client, token=1)
    with pytest.raises(GuardRefusedError):
        client.disarm(DisarmReason.STOPPED)
    client.renew(0)  # an empty word is no request
    assert client.state().armed
    assert not client.disarm(DisarmReason.PAUSED).armed
    client.renew(deadline_in(0.1))  # nor does a late renewal arm anything
    time.sleep(0.4)
    assert client.state().fence is FenceKind.FULL
    client.signal(signal.SIGINT)
    until(lambda: client.state().server_pid is None)
    client.disarm(DisarmReason.STOPPED)


def test_a_busy_backend_does_not_outlive_a_postmaster_that_was_killed(site: Site, client: GuardClient) -> None:
    postmaster = start_primary(site, client)
    busy = Busy(site)
    busy.start()
    time.sleep(0.2)
    killed_s = now_s()
    os.kill(postmaster, signal.SIGKILL)
    until(lambda: not site.server_processes(), within_s=1.0)
    assert now_s() - killed_s < 0.5
    busy.join(5)
    assert not busy.answered
    state = client.state()
    assert (state.server_pid, state.server_exit, state.is_ending) == (None, -signal.SIGKILL, False)
    start_primary(site, client)  # and nothing of it is in the way of the next start


def test_a_stopped_backend_does_not_hold_up_the_fence(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    start_primary(site, client, token=1)
    session = Session(site.dsn)
    os.kill(backend_of(session), signal.SIGSTOP)
    client.renew(deadline_in(0.1))
    fired = until(lambda: client.state().fired)
    assert site.server_processes() == []
    assert fired.killed >= 1
    assert fired.took_s < BUDGET_S / 2


def test_a_stopped_postmaster_does_not_hold_up_the_fence(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    os.kill(start_primary(site, client, token=1), signal.SIGSTOP)
    client.renew(deadline_in(0.1))
    until(lambda: client.state().fired)
    assert site.server_processes() == []


def test_a_forced_end_ends_what_a_fast_stop_cannot_and_latches_nothing(site: Site, client: GuardClient) -> None:
    start_primary(site, client)
    session = Session(site.dsn)
    os.kill(backend_of(session), signal.SIGSTOP)
    client.signal(signal.SIGINT)
    time.sleep(0.5)
    assert client.state().server_pid is not None
    state = client.end()
    assert (state.server_pid, state.is_ending, state.fired) == (None, False, None)
    assert site.server_processes() == []
    start_primary(site, client)


def test_a_person_who_works_in_the_data_directory_is_spared(site: Site, client: GuardClient) -> None:
    start_primary(site, client)
    person = subprocess.Popen(["sleep", "60"], cwd=site.data_dir, **as_user())
    site.started.append(person)
    client.end()
    assert person.poll() is None


def test_a_server_whose_data_directory_was_deleted_is_found(site: Site, client: GuardClient) -> None:
    start_primary(site, client)
    session = Session(site.dsn)
    backend = backend_of(session)
    shutil.rmtree(site.data_dir, ignore_errors=True)
    client.end()
    assert not is_alive(backend)


def test_a_server_that_forks_no_orphan_is_found_by_its_directory_alone(site: Site, client: GuardClient) -> None:
    foreign = site.run(list(site.argv), "foreign.log")
    until(lambda: can_connect(site))
    session = Session(site.dsn)
    backend = backend_of(session)
    assert client.adopt(foreign.pid).fence is FenceKind.PARTIAL
    os.kill(backend, signal.SIGSTOP)
    foreign.kill()
    until(lambda: not is_alive(backend), within_s=1.0)


def test_a_process_that_is_not_of_this_data_directory_is_not_adopted(client: GuardClient) -> None:
    with pytest.raises(GuardRefusedError):
        client.adopt(os.getpid())


def test_an_agent_that_was_replaced_has_no_say_any_more(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    pid = start_primary(site, client, token=1)
    with site.attach() as successor:
        assert successor.state().armed
        client.renew(deadline_in(0.01))
        with pytest.raises(GuardError):
            client.end()
        time.sleep(0.3)
        assert successor.state().server_pid == pid
        successor.renew(deadline_in(0.01))
        until(lambda: successor.state().fired)


def test_a_renewal_that_no_guard_reads_is_an_error(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(60), BUDGET_S)
    client.renew(deadline_in(60))
    site.started[0].kill()
    site.started[0].wait()
    with pytest.raises(GuardError):
        client.renew(deadline_in(60))


def test_a_deadline_survives_the_agent_that_set_it(site: Site, client: GuardClient) -> None:
    client.arm(1, deadline_in(0.8), BUDGET_S)
    start_primary(site, client, token=1)
    client.close()
    until(lambda: not site.server_processes(), within_s=3.0)


def test_who_never_attached_may_look_and_not_touch(site: Site, client: GuardClient) -> None:
    with site.connect() as onlooker:
        assert onlooker.state().generation == client.state().generation
        with pytest.raises(GuardError):
            onlooker.arm(1, deadline_in(60), BUDGET_S)


def test_a_server_that_cannot_be_executed_is_an_error_and_nothing_runs(site: Site, client: GuardClient) -> None:
    server = site.server()
    missing = dataclasses.replace(server, argv=("/nonexistent/postgres",))
    with pytest.raises(GuardError, match="No such file"):
        client.start(missing)
    assert client.state().server_pid is None


def test_there_is_one_guard_for_a_state_directory(site: Site, client: GuardClient) -> None:
    assert site.run_guard().wait(5) == EXIT_LOCKED
    assert client.state().guard_pid


def test_a_guard_quits_only_without_a_server(site: Site, client: GuardClient) -> None:
    start_primary(site, client)
    with pytest.raises(GuardRefusedError):
        client.quit()
    client.end()
    client.quit()
    assert site.started[0].wait(3) == 0
    with pytest.raises(GuardTimeoutError):
        GuardClient.connect(str(site.state_dir), 0.1)


def test_a_guard_that_nobody_needs_ends_itself(site: Site) -> None:
    guard = site.run_guard()
    site.connect().close()
    assert guard.wait(15) == 0


def test_signals_that_end_others_do_not_end_the_guard(site: Site, client: GuardClient) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        site.started[0].send_signal(signum)
    assert client.state().guard_pid == site.started[0].pid


def test_a_stopped_postmaster_of_a_dead_guard_is_ended_by_the_next_guard(site: Site, client: GuardClient) -> None:
    postmaster = start_primary(site, client)
    os.kill(postmaster, signal.SIGSTOP)
    site.started[0].kill()
    site.started[0].wait()
    time.sleep(0.2)
    assert is_alive(postmaster)  # the kernel's signal waits until it is continued
    site.run_guard()
    until(lambda: site.connect().state().server_pid is None and not site.server_processes(), within_s=5.0)


def test_a_server_that_was_started_by_hand_is_left_alone_by_a_new_guard(site: Site) -> None:
    foreign = site.run(list(site.argv), "foreign.log")
    until(lambda: can_connect(site))
    site.run_guard()
    client = site.attach()
    assert isinstance(client.start(site.server(standby=True)), StartRefused)
    assert foreign.poll() is None


def test_a_state_directory_with_a_long_path_is_reached(site: Site) -> None:
    far = site.place / ("d" * 60) / ("e" * 60)
    far.mkdir(parents=True)
    for directory in (far, far.parent):
        give_away(directory)
    guard = site.run(guard_argv(str(far / "state"), str(site.data_dir)), "guard.log")
    with GuardClient.connect(str(far / "state"), 5.0) as client:
        assert client.attach().guard_pid == guard.pid


@pytest.mark.parametrize("packet", [b"{", b"[]", b"{}", b'{"id":true,"op":"end"}', b'{"id":1}', b"\xff" * 1000])
def test_garbage_on_the_socket_ends_that_connection_alone(site: Site, client: GuardClient, packet: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as raw:
        raw.settimeout(5)
        raw.connect(str(site.state_dir / "guard.sock"))
        raw.send(packet)
        assert raw.recv(100) == b""
    assert client.state().guard_pid == site.started[0].pid


def test_the_guard_loads_the_standard_library_alone(site: Site, client: GuardClient) -> None:
    maps = Path(f"/proc/{site.started[0].pid}/maps").read_text()
    assert "site-packages" not in maps
    assert client.state().guard_pid == site.started[0].pid


def test_the_guard_keeps_no_descriptor_of_what_is_over(site: Site, client: GuardClient) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{site.started[0].pid}/fd").iterdir()))

    start_primary(site, client)
    client.end()
    before = descriptors()
    for _ in range(20):
        with site.attach() as successor:
            start_primary(site, successor)
            successor.end()
    client.attach()
    until(lambda: descriptors() == before, within_s=3.0)
