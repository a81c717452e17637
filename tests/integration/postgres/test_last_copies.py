"""What may be the last copy of something is thrown away only where there is something better, or a person has looked."""

from dataclasses import replace

import pytest

from hacore.model.node import DirectoryState
from hacore.model.steps import CreateReplica, StopMode, StopServer
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import Node

IMMEDIATE = StopServer(mode=StopMode.IMMEDIATE, reason="test")


def whole_standby(make_node: MakeNode) -> tuple[Node, Node, CreateReplica]:
    """A primary, a standby of it that is down, and what would create that one again."""
    a, b = make_node("a"), make_node("b")
    a.create_cluster()
    b.follow_from_scratch(a)
    b.do(IMMEDIATE)
    return a, b, CreateReplica(leader="a", source="a", system_id=a.read().system_id)


@pytest.mark.parametrize("fault", ["is gone", "has no address", "refuses the replication user", "is a standby", "is of another cluster"])
def test_a_whole_directory_is_left_as_it_is_where_the_leader(make_node: MakeNode, fault: str) -> None:
    a, b, step = whole_standby(make_node)
    if fault == "is gone":
        a.do(IMMEDIATE)
    elif fault == "has no address":
        step = replace(step, source="nobody")
    elif fault == "refuses the replication user":
        a.sql("ALTER ROLE replicator PASSWORD 'another'")
    elif fault == "is a standby":
        a.do(IMMEDIATE)
        a.start_standby(None)
    else:
        a.do(IMMEDIATE)
        other = b.nodes["a"] = make_node("c")
        other.create_cluster()
    outcome = b.run(step)
    assert not outcome.is_done
    state = b.read()
    assert (state.directory.state, state.directory.mark) == (DirectoryState.INITIALIZED, None), outcome.error
    b.start_standby(None)


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_directory_that_has_lost_its_control_file_is_created_again_where_the_node_remembers_the_cluster(
    make_node: MakeNode, fault: str
) -> None:
    a, b, step = whole_standby(make_node)
    control = b.instance.layout.control_file
    if fault == "missing":
        control.unlink()
    else:
        control.write_bytes(control.read_bytes()[:100])
    assert b.read().directory.state is DirectoryState.BROKEN
    outcome = b.run(step)
    assert outcome.error is not None
    assert outcome.error.endswith("whose the data are is not known, they are not emptied")
    remembered = replace(step, is_remembered=True)
    a.sql("ALTER ROLE replicator PASSWORD 'another'")
    assert not b.run(remembered).is_done
    assert b.read().directory.state is DirectoryState.BROKEN
    a.sql("ALTER ROLE replicator PASSWORD 'rep:secret'")
    b.instance.layout.version_file.write_text("9.6\n")
    assert not b.run(remembered).is_done
    b.instance.layout.version_file.write_text(f"{b.instance.programs.major}\n")
    b.do(remembered)
    b.start_standby(a)
    b.until(lambda found: found.replication_state == "streaming")
