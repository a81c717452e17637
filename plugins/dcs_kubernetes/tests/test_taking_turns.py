"""When members beat, without a server: in every second turn, and not all in the same one."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from hacore.model.clock import Instant
from hacore.sightings import Sightings
from hacore.testing.clocks import SetClock
from hacore_dcs_kubernetes.heard import Sent
from hacore_dcs_kubernetes.lock import OwnClock
from hacore_dcs_kubernetes.members import Members
from hacore_dcs_kubernetes.pods import Metadata, Pods
from hacore_dcs_kubernetes.settings import KubernetesSettings
from hacore_dcs_kubernetes.watch import Known
from plugins.dcs_kubernetes.tests.sessions import RUNNING

TTL_S, TURN_S = 30.0, 10.0


class PaperPods(Pods):
    """Pods on paper; every change is told to all members at once."""

    def __init__(self) -> None:
        self.versions, self.stored, self.members = itertools.count(1), dict[str, dict[str, Any]](), list[Members]()

    def get(self, name: str, until: Instant) -> Metadata:
        return self.stored.setdefault(name, {"name": name, "labels": {}, "annotations": {}, "resourceVersion": str(next(self.versions))})

    def change(self, name: str, metadata: Mapping[str, Any], until: Instant) -> Metadata:
        before = self.get(name, until)
        parts = {part: {**before[part], **metadata.get(part, {})} for part in ("labels", "annotations")}
        self.stored[name] = {"name": name, "resourceVersion": str(next(self.versions)), **parts}
        for member in self.members:
            member.beats.told(name, self.stored[name])
        return self.stored[name]


def turns(clock: SetClock, *names: str) -> Iterator[set[str]]:
    """Let all members publish in each turn; yield who wrote."""
    pods = PaperPods()
    pods.members = [
        Members(
            pods=pods,
            settings=KubernetesSettings(labels=(("a", "b"),)),
            member=name,
            known=Known(clock=clock, own_clock=OwnClock(clock), sightings=Sightings(clock), beats=Sent(clock), renewals=Sent(clock)),
        )
        for name in names
    ]
    while True:
        before = dict(pods.stored)
        for member in pods.members:
            member.publish(RUNNING, leads=False, ttl_s=TTL_S, heard=None, until=clock.at + 1.0)
            clock.at += 0.01
        yield {name for name, pod in pods.stored.items() if before.get(name) is not pod}
        clock.at += TURN_S


def test_a_member_alone_beats_in_every_second_turn() -> None:
    assert list(itertools.islice(turns(SetClock(), "b"), 5)) == [{"b"}, set(), {"b"}, set(), {"b"}]


def test_members_that_beat_together_part_and_stay_apart() -> None:
    found = list(itertools.islice(turns(SetClock(), "b", "c", "d"), 7))
    assert found == [{"b", "c", "d"}, {"c", "d"}, {"b"}, {"c", "d"}, {"b"}, {"c", "d"}, {"b"}]


def test_so_they_do_in_whatever_order_they_are_told() -> None:
    found = list(itertools.islice(turns(SetClock(), "d", "c", "b"), 6))
    assert found == [{"b", "c", "d"}, {"c", "d"}, {"b"}, {"c", "d"}, {"b"}, {"c", "d"}]
