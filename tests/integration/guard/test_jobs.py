"""Which processes are a node's own long work, on a machine where several nodes may use the same paths."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.guard.jobs import JOB_VARIABLE, end_leftovers, leftovers

ELSEWHERE = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def node(tmp_path: Path) -> Path:
    found = tmp_path / "node.hacore"
    found.mkdir()
    return found


def working(node: Path, *launcher: str, first: str = "") -> subprocess.Popen[bytes]:
    """Start work that bears the mark of a node."""
    words = [*launcher, "sh", "-c", f"{first}echo begun; exec sleep 600"]
    process = subprocess.Popen(words, env={**os.environ, JOB_VARIABLE: str(node)}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


@pytest.fixture
def foreign(node: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Work of a node in a container that has another directory under the same path."""
    process = working(node, *ELSEWHERE, first=f"mount -t tmpfs tmpfs {node}; ")
    yield process
    process.kill()
    process.wait()


def test_work_of_another_container_with_the_same_paths_is_left_alone(node: Path, foreign: subprocess.Popen[bytes]) -> None:
    own, private = working(node), working(node, *ELSEWHERE)  # a service may have mounts of its own each time that it is started
    assert set(leftovers(str(node))) == {own.pid, private.pid}
    assert set(end_leftovers(str(node))) == {own.pid, private.pid}
    own.wait()
    private.wait()
    assert foreign.poll() is None


def test_work_is_known_by_its_mark_where_the_directory_has_gone(node: Path) -> None:
    own = working(node)
    node.rmdir()
    assert end_leftovers(str(node)) == [own.pid]
    own.wait()
