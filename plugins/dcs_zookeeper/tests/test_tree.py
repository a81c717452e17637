"""What nodes mean, which have to be read, and which operations make a change. Pure values."""

from collections.abc import Mapping

import pytest
from kazoo.exceptions import NoAuthError, NoNodeError
from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData
from kazoo.protocol.states import ZnodeStat

from hacore.interfaces import Put
from hacore.model.lease import Lock
from hacore_dcs_zookeeper.change import Change, Operation, applied
from hacore_dcs_zookeeper.jute import Node
from hacore_dcs_zookeeper.tree import Keys, Mark, Reading, Tree

KEYS = Keys("/service/demo")
ZERO = ZnodeStat(*(0 for _ in ZnodeStat._fields))
GENERATION = "hacore.generation.1"


def node(data: str = "", **stat: int) -> Node:
    return Node(data.encode(), ZERO._replace(**stat))


def tree(**nodes: Node) -> Tree:
    return Tree({"": node(version=3), GENERATION: node(), **{name.replace("__", "/"): one for name, one in nodes.items()}})


def change_of(found: Tree) -> Change:
    return Change(keys=KEYS, tree=found, acl=[])


def names_of(operations: tuple[Operation, ...]) -> list[tuple[str, str]]:
    """Kind and name of each operation; a generation that is made has no name that anybody could know."""
    found = [(type(one).__name__, KEYS.name(one.path)) for one in operations]
    return [(kind, "new" if kind == "Create" and name.startswith("hacore.generation.") else name) for kind, name in found]


@pytest.mark.parametrize(
    ("chroot", "namespace", "prefix"),
    [("", "/service", "/service/demo"), ("/pg", "//service/", "/pg/service/demo"), ("", "/", "/demo")],
)
def test_double_slashes_count_as_one(chroot: str, namespace: str, prefix: str) -> None:
    keys = Keys.of(chroot, namespace, "demo")
    assert keys.prefix == prefix
    assert keys.name(keys.path("members/a")) == "members/a"
    assert (keys.path(""), keys.name(keys.path(""))) == (prefix, "")


def test_all_nodes_above_a_cluster_are_made_from_the_top() -> None:
    assert list(Keys("/a/b/c").ancestors()) == ["/a", "/a/b", "/a/b/c"]


def test_what_only_holds_other_nodes_is_no_record() -> None:
    found = tree(
        leader=node("a"), members=node(), members__a=node("member"), optime=node(cversion=1), optime__leader=node("5"), initialize=node()
    )
    assert {name: one.data for name, one in found.records()} == {"optime/leader": b"5", "initialize": b""}
    assert {name: one.data for name, one in found.members()} == {"a": b"member"}


def test_a_leader_of_another_session_than_the_mark_s_is_another_holding() -> None:
    marked = Mark(-7, "x").encode().decode()
    assert tree().lock is None
    assert tree(leader=node("a", czxid=255)).lock == Lock(holder="a", instance="czxid-ff")
    ours = Tree({**tree(leader=node("a", ephemeralOwner=-7)).nodes, GENERATION: node(marked)})
    assert ours.lock == Lock(holder="a", instance="x")
    theirs = Tree({**tree(leader=node("p", ephemeralOwner=8, czxid=1)).nodes, GENERATION: node(marked)})
    assert theirs.lock == Lock(holder="p", instance="czxid-1")


def test_a_broken_generation_is_no_mark() -> None:
    broken = Tree({**tree(leader=node("a", ephemeralOwner=7, czxid=1)).nodes, GENERATION: node("no number x")})
    assert broken.lock == Lock(holder="a", instance="czxid-1")


def test_the_revision_is_that_of_the_newest_change() -> None:
    assert tree(config=node(mzxid=5), members=node(pzxid=9)).revision == 9
    assert Tree().revision == 0


def test_a_reading_is_whole_once_it_has_asked_for_all_that_is_there() -> None:
    asked = Reading()
    assert len(asked.request(KEYS).operations) == 4
    found, more = asked.result([node(), NoNodeError(), ("config", "optime"), NoNodeError()])
    assert (set(found.nodes), asked.covers(more)) == ({""}, False)
    assert more.names == {"", "members", "config", "optime"}
    found, again = more.result([node(), node("1"), NoNodeError(), node(numChildren=1), ("config", "optime"), NoNodeError()])
    assert not more.covers(again)
    assert again.directories == {"", "members", "optime"}
    last = [node(), node("1"), NoNodeError(), node(numChildren=1), ("config", "optime"), NoNodeError(), ("leader",)]
    _, again = again.result(last)
    assert again.names == {"", "members", "config", "optime", "optime/leader"}


def test_what_may_not_be_read_is_an_error() -> None:
    with pytest.raises(NoAuthError):
        Reading().result([node(), NoAuthError(), (), ()])


def test_writing_what_is_there_compares_the_generation_and_the_version() -> None:
    change = change_of(tree(config=node("1", mzxid=5, version=2)))
    assert change.put([Put(name="config", value="2", expected=5)])
    check, write = change.operations()
    assert check == CheckVersion("/service/demo/hacore.generation.1", -1)
    assert write == SetData("/service/demo/config", b"2", 2)


@pytest.mark.parametrize(("found", "expected"), [({"config": node(mzxid=5)}, 4), ({"config": node(mzxid=5)}, 0), ({}, 5)])
def test_another_version_than_expected_is_no_change(found: Mapping[str, Node], expected: int) -> None:
    assert not change_of(tree(**found)).put([Put(name="status", value="1"), Put(name="config", value="2", expected=expected)])


def test_making_and_deleting_puts_another_generation_in_the_place_of_this_one() -> None:
    change = change_of(tree(config=node(mzxid=5, version=2)))
    assert change.put([Put(name="config", value=None, expected=5), Put(name="optime/leader", value="1", expected=0)])
    operations = change.operations()
    assert names_of(operations) == [
        ("Delete", GENERATION),
        ("Create", "new"),
        ("Delete", "config"),
        ("Create", "optime"),
        ("Create", "optime/leader"),
        ("SetData", "optime/leader"),
    ]
    assert operations[2] == Delete("/service/demo/config", 2)


def test_deleting_what_is_not_there_is_done_already() -> None:
    change = change_of(tree())
    assert change.put([Put(name="config", value=None)])
    assert names_of(change.operations()) == [("CheckVersion", GENERATION)]


def test_of_two_who_make_the_first_generation_one_does() -> None:
    change = change_of(Tree({"": node("x", version=3)}))
    assert change.put([Put(name="config", value="1")])
    first, made, *_ = change.operations()
    assert first == SetData("/service/demo", b"x", 3)
    assert isinstance(made, Create)


def test_taking_and_giving_back_the_lock_change_its_mark() -> None:
    change = change_of(tree(leader=node("b", version=1)))
    change.take_lock("a", Mark(7, "x"))
    operations = change.operations()
    assert names_of(operations) == [
        ("Delete", GENERATION),
        ("Create", "new"),
        ("Delete", "leader"),
        ("Create", "leader"),
        ("SetData", "leader"),
    ]
    assert operations[1].data == b"7 x"
    change = change_of(Tree({**tree(leader=node("a", version=1)).nodes, GENERATION: node("7 x")}))
    change.remove_lock()
    assert change.operations()[1].data == b""


def test_a_new_generation_keeps_the_mark_of_a_lock_that_stands() -> None:
    change = change_of(Tree({**tree(leader=node("a", version=1)).nodes, GENERATION: node("7 x")}))
    change.check_lock()
    assert change.put([Put(name="config", value="1")])
    assert change.operations()[1].data == b"7 x"


@pytest.mark.parametrize(
    ("nodes", "operations"),
    [
        ({}, [("Create", "members"), ("Create", "members/a")]),
        ({"members": node(), "members__a": node(ephemeralOwner=7)}, [("SetData", "members/a")]),
        ({"members": node(), "members__a": node(ephemeralOwner=6)}, [("Delete", "members/a"), ("Create", "members/a")]),
    ],
    ids=["new", "ours", "of a predecessor"],
)
def test_a_member_record_hangs_on_our_session_and_is_compared_with_nothing(
    nodes: Mapping[str, Node], operations: list[tuple[str, str]]
) -> None:
    change = change_of(tree(**nodes))
    change.publish("a", b"1", 7)
    assert names_of(change.alone()) == operations


def test_what_a_transaction_has_done_is_known_without_reading() -> None:
    before = tree(config=node("1", mzxid=5, version=2), sync=node())
    change = change_of(before)
    change.take_lock("a", Mark(7, "x"))
    assert change.put([Put(name="config", value="2", expected=5), Put(name="sync", value=None)])
    operations = change.operations()
    results = [ZERO._replace(mzxid=9, version=3, ephemeralOwner=7) if isinstance(one, SetData) else True for one in operations]
    after = applied(KEYS, before, operations, results, 7)
    assert after.lock == Lock(holder="a", instance="x")
    assert {name: (one.data, one.stat.mzxid) for name, one in after.records()} == {"config": (b"2", 9)}
    assert change_of(after).put([Put(name="config", value="3", expected=9)])
