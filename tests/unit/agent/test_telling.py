"""When the REST server may say that this node leads."""

from dataclasses import replace

import pytest

from hacore.agent.telling import is_creating
from hacore.model.node import NodeState
from tests.unit.decide import worlds as w


def test_a_leader_leads() -> None:
    assert not is_creating(w.leading())
    assert not is_creating(w.world())


def test_who_creates_the_cluster_does_not_lead_before_it_is_there() -> None:
    world = w.leading()
    assert world.cluster is not None
    assert is_creating(replace(world, cluster=replace(world.cluster, own=w.own(bootstrapping=True))))


@pytest.mark.parametrize(("node", "creates"), [(w.bare(), True), (w.primary(), False)])
def test_without_a_record_a_node_with_a_primary_has_lost_it_and_another_has_not_made_it(node: NodeState, *, creates: bool) -> None:
    world = w.leading(node=node)
    assert world.cluster is not None
    assert is_creating(replace(world, cluster=replace(world.cluster, own=None))) is creates
