import threading
import time

from hacore.api.pool import Pool
from hacore.api.positions import INTERVAL_S, Positions
from hacore.api.status import Measured


class Server:
    """Counts how often it is asked; the answer waits for ``go``."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()
        self.go.set()
        self.answer: Measured | None = Measured(in_recovery=False)

    def measure(self) -> Measured | None:
        self.asked += 1
        assert self.go.wait(10.0)
        return self.answer


def ask(positions: Positions) -> threading.Event:
    done = threading.Event()
    if positions.after_next(done.set):
        done.set()
    return done


def test_all_who_ask_at_once_share_one_measurement() -> None:
    server = Server()
    positions = Positions(server.measure)
    server.go.clear()
    first = ask(positions)
    deadline = time.monotonic() + 10
    while server.asked < 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    others = [ask(positions) for _ in range(50)]
    server.go.set()
    assert all(one.wait(10.0) for one in [first, *others])
    assert server.asked <= 2
    assert positions.latest() == server.answer


def test_within_the_interval_nobody_is_kept_waiting() -> None:
    server = Server()
    positions = Positions(server.measure)
    assert ask(positions).wait(10.0)
    assert positions.after_next(lambda: None)
    time.sleep(INTERVAL_S)
    assert not positions.after_next(lambda: None)


def test_many_questions_in_a_second_are_few_measurements() -> None:
    server = Server()
    positions = Positions(server.measure)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert ask(positions).wait(10.0)
    assert server.asked <= 1.0 / INTERVAL_S + 2


def test_many_who_ask_side_by_side_are_few_measurements() -> None:
    server = Server()
    positions = Positions(server.measure)
    until = time.monotonic() + 1.0

    def client() -> None:
        while time.monotonic() < until:
            assert ask(positions).wait(10.0)

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert server.asked <= 1.0 / INTERVAL_S + 2


def test_a_server_that_does_not_answer_keeps_nobody_for_a_second_attempt() -> None:
    server = Server()
    server.answer = None
    positions = Positions(server.measure)
    server.go.clear()
    waiting = [ask(positions) for _ in range(5)]
    server.go.set()
    assert all(one.wait(10.0) for one in waiting)
    assert server.asked <= 2
    assert positions.latest() is None


def test_a_pool_has_no_more_threads_than_it_is_given_and_refuses_what_is_too_much() -> None:
    pool, go, running, done = Pool("test", 2), threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
    most: list[int] = []

    def task() -> None:
        running.release()
        assert go.wait(10.0)
        most.append(sum(thread.name.startswith("test-") for thread in threading.enumerate()))
        done.release()

    accepted = sum(pool.submit(task) for _ in range(200))
    assert 64 <= accepted < 200
    assert running.acquire(timeout=10.0)
    go.set()
    assert all(done.acquire(timeout=10.0) for _ in range(accepted))
    assert max(most) == 2
