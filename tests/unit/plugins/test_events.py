"""Events reach each listener in their order, and a slow one delays nobody else."""

import threading
from collections.abc import Callable

from hacore.hookspecs import hookimpl
from hacore.model.events import Event, EventKind
from hacore.plugins.events import EventQueue
from hacore.plugins.listeners import Listeners
from tests.unit.plugins.making import event, plugin


class Ears:
    def __init__(self, listen: Callable[[Event], object] = lambda _: None) -> None:
        self.heard: list[int] = []
        self.listen = listen

    @hookimpl
    def hacore_event(self, event: Event) -> None:
        self.listen(event)
        self.heard.append(event.id)


class Door:
    """Lets calls in one by one."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.open = threading.Semaphore(0)

    def __call__(self, _event: Event) -> None:
        self.inside.release()
        assert self.open.acquire(timeout=10)


def test_events_are_delivered_in_their_order_on_a_thread_of_their_own() -> None:
    threads: set[int] = set()
    ears = Ears(lambda _: threads.add(threading.get_ident()))
    queue = EventQueue(plugin(ears).calls)
    for number in range(100):
        queue.put(event(number))
    assert queue.close(10)
    assert ears.heard == list(range(100))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    door = Door()
    ears = Ears(door)
    queue = EventQueue(plugin(ears).calls, capacity=3)
    queue.put(event(0))
    assert door.inside.acquire(timeout=10)
    for number in range(1, 7):
        queue.put(event(number))
    assert (queue.dropped, queue.waiting) == (3, 3)
    door.open.release(10)
    assert queue.close(10)
    assert ears.heard == [0, 4, 5, 6]


def test_of_waiting_changes_of_role_only_the_newest_is_delivered() -> None:
    door = Door()
    ears = Ears(door)
    queue = EventQueue(plugin(ears).calls)
    queue.put(event(0))
    assert door.inside.acquire(timeout=10)
    for number, kind in enumerate([EventKind.ROLE_CHANGED, EventKind.STOPPED, EventKind.ROLE_CHANGED, EventKind.STARTED], start=1):
        queue.put(event(number, kind))
    door.open.release(10)
    assert queue.close(10)
    assert ears.heard == [0, 2, 3, 4]
    assert queue.dropped == 0


def test_a_listener_that_raises_gets_the_next_event_all_the_same() -> None:
    def fail(one: Event) -> None:
        if one.id == 1:
            raise KeyError("x")
        if one.id == 2:
            raise SystemExit(1)

    ears = Ears(fail)
    made = plugin(ears)
    queue = EventQueue(made.calls)
    for number in (1, 2, 3):
        queue.put(event(number))
    assert queue.close(10)
    assert ears.heard == [3]
    assert made.calls.counts.faults == 1


def test_a_listener_that_hangs_is_seen_and_delays_no_other() -> None:
    door = Door()
    slow, quick = Ears(door), Ears()
    listeners = Listeners([plugin(slow, "slow"), plugin(quick, "quick")])
    queue = EventQueue(plugin(slow).calls, limit_s=0.0)
    queue.put(event(9))
    assert door.inside.acquire(timeout=10)
    queue.put(event(10))
    assert queue.is_stuck
    listeners.tell(event(1))
    listeners.tell(event(2))
    listeners.close(1.0)
    assert quick.heard == [1, 2]
    assert listeners.dropped() == {}
    door.open.release(10)
