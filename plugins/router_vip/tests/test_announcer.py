"""When announcements are made, on a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from hacore.model.clock import BootClock
from hacore.testing.waiting import wait_for
from hacore_router_vip.announcer import Announcer, Task
from hacore_router_vip.kernel import Link
from hacore_router_vip.settings import FloatingAddress, VipSettings
from hacore_router_vip.wire import Place

IP = ip_address("10.0.0.100")
PLACE = Place(Link(index=1, name="eth0", mac=bytes(6), is_up=True, has_carrier=True), bytes(6))
CLOCK = BootClock()


def settings(*, announcements: int, every_s: float) -> VipSettings:
    addresses = (FloatingAddress(ip=IP, prefix=32),)
    return VipSettings(
        interface="eth0",
        addresses=addresses,
        announcements=announcements,
        announcements_within_s=0.2,
        announce_every_s=every_s,
        duplicate_probe=False,
    )


def task() -> Task:
    return Task(ips=(IP,), place=PLACE, until=CLOCK.now() + 60.0, clock=CLOCK, with_packets=True)


@contextmanager
def announcer(*, announcements: int = 3, every_s: float = 3600.0) -> Iterator[tuple[Announcer, list[Task]]]:
    said: list[Task] = []
    made = Announcer(settings(announcements=announcements, every_s=every_s), said.append)
    try:
        yield made, said
    finally:
        made.close()


def test_an_address_that_has_come_is_announced_as_often_as_configured() -> None:
    with announcer() as (made, said):
        made.hold(task(), anew=True)
        wait_for(lambda: len(said) == 3, "three announcements", deadline_s=10.0)
        made.hold(task(), anew=False)
        made.hold(task(), anew=True)
        wait_for(lambda: len(said) == 6, "three more", deadline_s=10.0)


def test_a_renewal_announces_nothing_but_what_comes_next_is_its() -> None:
    with announcer(announcements=1, every_s=1.0) as (made, said):
        made.hold(task(), anew=True)
        wait_for(lambda: len(said) == 1, "the first", deadline_s=10.0)
        renewed = task()
        made.hold(renewed, anew=False)
        wait_for(lambda: len(said) == 2, "the next", deadline_s=10.0)
        assert said[1] is renewed


def test_what_was_let_go_is_not_announced_and_comes_back_as_new() -> None:
    with announcer(announcements=2, every_s=1.0) as (made, said):
        made.hold(task(), anew=True)
        wait_for(lambda: len(said) >= 2, "two announcements", deadline_s=10.0)
        made.let_go()
        again = task()
        made.hold(again, anew=False)
        wait_for(lambda: said.count(again) >= 2, "two of the next", deadline_s=10.0)


def test_its_thread_ends_with_it() -> None:
    with announcer() as (made, said):
        made.hold(task(), anew=True)
        wait_for(lambda: said, "one announcement", deadline_s=10.0)
        mine = [thread for thread in threading.enumerate() if thread.name == "vip announcer"]
        assert len(mine) == 1
    mine[0].join(10.0)
    assert not mine[0].is_alive()
