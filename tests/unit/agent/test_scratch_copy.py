"""A directory for checks may be that of several clusters, and of people."""

from dataclasses import replace
from pathlib import Path

import pytest

from hacore.agent.scratch_copy import MARK, ScratchCopy
from hacore.errors import DataDirectoryError


@pytest.fixture
def copy(tmp_path: Path) -> ScratchCopy:
    return ScratchCopy(root=tmp_path / "scratch", scope="demo", member="n1", data_dir=tmp_path / "n1")


def filled(copy: ScratchCopy) -> Path:
    file = copy.make() / "data" / "base"
    file.mkdir(parents=True)
    return file


def test_what_a_killed_agent_has_left_is_removed_and_so_is_the_copy_at_the_end(copy: ScratchCopy) -> None:
    left = filled(copy)
    assert (copy.make() == copy.place, left.exists()) == (True, False)
    filled(copy)
    copy.remove()
    copy.remove()
    assert list(copy.root.iterdir()) == []


def test_an_agent_that_was_killed_before_it_set_the_mark_is_in_nobodys_way(copy: ScratchCopy) -> None:
    copy.place.mkdir(parents=True)
    assert (copy.make() / MARK).exists()


def test_clusters_and_members_of_one_machine_keep_out_of_each_others_way(copy: ScratchCopy) -> None:
    others = [replace(copy, scope="other"), replace(copy, member="n2"), replace(copy, scope="a-demo"), replace(copy, member="n1-a")]
    kept = [filled(one) for one in (*others, copy)]
    assert all(one.exists() for one in kept)


def test_a_cluster_of_the_same_name_is_refused_and_its_copy_stays(copy: ScratchCopy) -> None:
    running = filled(copy)
    other = replace(copy, data_dir=Path("/elsewhere/n1"))
    with pytest.raises(DataDirectoryError, match="is no copy that this node has made"):
        other.make()
    assert running.exists()


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_what_somebody_else_has_put_there_stays_and_is_told(copy: ScratchCopy, tmp_path: Path, kind: str) -> None:
    copy.root.mkdir()
    if kind == "file":
        copy.place.write_text("mine")
    else:
        mine = copy.place if kind == "directory" else tmp_path / "mine"
        mine.mkdir()
        (mine / "letters").write_text("mine")
    if kind == "link":
        copy.place.symlink_to(tmp_path / "mine")
    with pytest.raises(DataDirectoryError, match="is no copy that this node has made"):
        copy.make()
    assert (copy.place if kind == "file" else copy.place / "letters").read_text() == "mine"
