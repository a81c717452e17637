"""Which rule answers in maintenance, beyond what the tests of the other tables say of it."""

from dataclasses import replace

from hacore.decide import decide
from hacore.model.memory import Memory
from hacore.model.steps import AcquireLease, PutRecord

from . import worlds as w

PAUSED = '{"pause":true}'
EMPTIED = {"initialize": None, "initialize_version": None, "config": None, "config_version": None, "history": None}


def test_whoever_takes_the_lock_of_an_emptied_store_in_a_pause_writes_the_configuration_that_is_in_force() -> None:
    empty = w.cluster(None, own=None, own_version=None, members=(), **EMPTIED)
    seen = w.paused(w.leaderless(node=w.primary(), cluster=empty, peers=(), memory=w.memory(held_token=1)))
    seen = replace(seen, me=replace(seen.me, bootstrap_config=PAUSED))
    decision = decide(seen)
    (step,) = decision.steps
    assert isinstance(step, AcquireLease)
    assert (decision.rule, step.puts) == ("primary_takes_lock_in_pause", (PutRecord(name="config", value=PAUSED, expected=0),))


def test_a_leader_in_a_pause_writes_records_that_are_missing() -> None:
    seen = w.paused(w.leading(cluster=w.cluster("a", own=w.own(holder="a", unfenced="a"), **EMPTIED)))
    decision = decide(replace(seen, me=replace(seen.me, bootstrap_config=PAUSED)))
    assert decision.rule == "restore_records_in_pause"
    assert {step.name: step.value for step in decision.steps if isinstance(step, PutRecord)} == {"initialize": w.SYSTEM_ID, "config": PAUSED}
    unnoted = w.paused(w.leading(cluster=w.cluster("a", **EMPTIED), memory=Memory()))
    assert decide(unnoted).rule == "note_unfenced"
