"""Which members are meant, and whether the cluster is whole."""

import pytest

from hacore.cli.choosing import able_to_lead, choose, leader_of
from hacore.cli.members import in_order, start_s
from hacore.cli.site import CommandError, loop_wait_s
from hacore.cli.whole import missing
from hacore.model.cluster import OwnRecord
from tests.unit.cli.views import leader, member, tags, view


@pytest.mark.parametrize(
    ("role", "names"),
    [("any", "abc"), ("leader", "a"), ("primary", "a"), ("replica", "bc"), ("standby", "bc")],
)
def test_a_role_chooses_members(role: str, names: str) -> None:
    assert "".join(one.name for one in choose(view(), "demo", role=role)) == names


def test_the_leader_of_a_standby_cluster_is_a_leader_and_no_primary() -> None:
    shown = view(leader("a"), member("b"))
    standby = view(member("a", role="standby_leader"), member("b"))
    assert [one.name for one in choose(standby, "demo", role="standby-leader")] == ["a"]
    assert [one.name for one in choose(standby, "demo", role="leader")] == ["a"]
    for where, role in ((standby, "primary"), (shown, "standby-leader")):
        with pytest.raises(CommandError, match=f"Cluster demo has no {role}"):
            choose(where, "demo", role=role)


def test_names_and_role_both_count() -> None:
    assert [one.name for one in choose(view(), "demo", ["b"], "replica")] == ["b"]
    with pytest.raises(CommandError, match="No replica among a"):
        choose(view(), "demo", ["a"], "replica")


def test_a_name_that_is_nobodys_is_refused() -> None:
    with pytest.raises(CommandError, match="x, y: no such member in cluster demo"):
        choose(view(), "demo", ["a", "x", "y"])


def test_there_may_be_no_leader() -> None:
    assert leader_of(view()).name == "a"
    with pytest.raises(CommandError, match="This cluster has no leader"):
        leader_of(view(holder=None))


def test_members_whose_tags_forbid_it_are_no_candidates() -> None:
    assert able_to_lead(view(leader("a"), member("b", tags=tags(nofailover=True)), member("c"))) == ["c"]


def test_the_leader_is_restarted_last() -> None:
    shown = view(leader("b"), member("a"), member("c"), holder="b")
    assert [one.name for one in in_order(shown, shown.members)] == ["a", "c", "b"]


def test_the_leader_is_restarted_first_where_a_limit_is_lowered() -> None:
    lowered = (("max_connections", "200", "100"),)
    shown = view(leader("b", pending_restart_reason=lowered), member("a", pending_restart_reason=lowered), holder="b")
    assert [one.name for one in in_order(shown, shown.members)] == ["b", "a"]


def test_other_settings_that_become_smaller_change_no_order() -> None:
    lowered = (("shared_buffers", "200", "100"),)
    shown = view(leader("b", pending_restart_reason=lowered), member("a"), holder="b")
    assert [one.name for one in in_order(shown, shown.members)] == ["a", "b"]


def test_a_whole_cluster_lacks_nothing() -> None:
    assert missing(view()) is None


@pytest.mark.parametrize(
    ("shown", "lacking"),
    [
        (view(holder=None), "there is no leader"),
        (view(leader("a", state="starting"), member("b")), "the leader a is starting"),
        (view(member("a"), member("b")), "in role replica"),
        (view(leader("a", checkpoint_after_promote=False)), "first checkpoint"),
        (view(leader("a"), member("b", state="creating replica")), "b is in state creating replica"),
        (view(leader("a"), member("b", replication_state=None)), "b does not stream yet"),
        (view(leader("a", timeline=2), member("b")), "b is on timeline 1, the leader on 2"),
    ],
)
def test_what_a_cluster_lacks_is_said(shown: object, lacking: str) -> None:
    assert lacking in (missing(shown) or "")  # type: ignore[arg-type]


def test_a_member_of_the_other_product_need_not_say_that_it_streams() -> None:
    assert missing(view(leader("a"), member("b", hacore_version=None, replication_state=None))) is None


def test_the_period_of_the_loops_is_the_one_in_force() -> None:
    own = OwnRecord(store_id="s", token=1, instance="1", holder="a", heartbeat=1, ttl_s=5, times=(5.0, 1.0, 1.0))
    assert loop_wait_s(view(own=own)) == 1.0
    assert loop_wait_s(view(config='{"loop_wait":7}')) == 7.0
    assert loop_wait_s(view(config='{"loop_wait":"7s"}')) == 7.0
    assert loop_wait_s(view(config=None)) == 10.0


@pytest.mark.parametrize(
    ("config", "timeout", "limit_s"),
    [
        ('{"primary_start_timeout":1800}', None, 1800.0),
        ('{"master_start_timeout":"1h"}', None, 3600.0),
        ('{"primary_start_timeout":1800}', "5min", 300.0),
        ('{"primary_start_timeout":1800}', "soon", 1800.0),
        (None, None, 300.0),
    ],
)
def test_a_restart_may_take_what_was_asked_for_or_is_configured(config: str | None, timeout: str | None, limit_s: float) -> None:
    assert start_s(view(config=config), timeout) == limit_s
