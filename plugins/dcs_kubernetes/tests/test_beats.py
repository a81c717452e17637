"""Beats that nobody understands, without a server: whoever may write to a pod may cost its own member, and no other."""

import json

import pytest

from hacore.model.clock import BootClock
from hacore_dcs_kubernetes.beats import BEAT, STATUS, Beat, Beats, checksum
from hacore_dcs_kubernetes.heard import Sent
from hacore_dcs_kubernetes.picture import Picture
from hacore_dcs_kubernetes.pods import Metadata

WHOLE = {"ttl": 30.0, "beat": 1, "version": 7, "of": checksum("{}"), "heard": ["7.1", 0.5]}


def pod(beat: str) -> Metadata:
    return {"annotations": {STATUS: "{}", BEAT: beat}, "resourceVersion": "8"}


@pytest.mark.parametrize(
    "beat",
    [
        *(json.dumps(WHOLE).replace(old, new) for old, new in (
            ('"beat": 1', '"beat": 1e999'),
            ('"version": 7', '"version": -1e999'),
            ('"ttl": 30.0', '"ttl": 1' + 400 * "0"),
            ('"ttl": 30.0', '"ttl": NaN'),
            ('"ttl": 30.0', '"ttl": Infinity'),
            ('"ttl": 30.0', '"ttl": 0'),
            ('"ttl": 30.0', '"ttl": -1'),
            ("0.5", "1" + 300 * "00"),
        )),
        200_000 * "[",
        "[]",
        "7",
    ],
    ids=range(11),
)  # fmt: skip
def test_a_beat_that_is_not_understood_is_none(beat: str) -> None:
    clock = BootClock()
    beats = Beats(clock, Picture(), Sent(clock))
    assert Beat.read(pod(json.dumps(WHOLE))["annotations"]) is not None
    assert Beat.read(pod(beat)["annotations"]) is None
    beats.told("broken", pod(beat))
    beats.told("whole", pod(json.dumps(WHOLE)))
    assert set(beats.newest()) == {"whole"}
    assert beats.record("whole", pod(json.dumps(WHOLE)), is_holder=False) is not None
    beats.record("broken", pod(beat), is_holder=False)
