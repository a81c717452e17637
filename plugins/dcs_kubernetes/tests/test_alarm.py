"""The alarm for a lock that ends without a word, without a server."""

import contextlib
import threading

from hacore.model.clock import BootClock
from hacore_dcs_kubernetes.alarm import Alarm


def test_an_instant_that_no_wait_can_reach_does_not_end_the_alarm() -> None:
    """As where somebody has written a ttl without end into the leader's object."""
    rung, clock = threading.Event(), BootClock()
    with contextlib.closing(Alarm(clock, rung.set)) as alarm:
        alarm.start()
        alarm.set(1e300)
        assert not rung.wait(0.2)
        alarm.set(clock.now())
        assert rung.wait(10.0)
