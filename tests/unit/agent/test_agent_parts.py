"""The node's memory on its disk, and what ends a wait."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hacore.agent.disk import StateDirectory
from hacore.agent.uniqueness import namesake
from hacore.agent.waiter import Waiter
from hacore.daemon.memory import MEMORY_NAME, was_paused
from hacore.errors import DataDirectoryError
from hacore.model.clock import BootClock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory
from tests.unit.decide import worlds as w


def test_the_memory_is_read_as_it_was_written(tmp_path: Path) -> None:
    memory = Memory(store_id="s", token=3, held_token=2, lsn=Lsn(77), members=("a", "b"), adopted_deadline=1.5)
    disk = StateDirectory(tmp_path)
    disk.store(memory)
    assert disk.load() == memory


def test_a_node_without_a_memory_has_a_fresh_one(tmp_path: Path) -> None:
    assert StateDirectory(tmp_path).load() == Memory()
    assert not was_paused(str(tmp_path))


@pytest.mark.parametrize("paused", [True, False])
def test_the_main_process_reads_in_it_whether_the_cluster_was_in_maintenance(tmp_path: Path, paused: bool) -> None:
    StateDirectory(tmp_path).store(Memory(token=3, paused=paused))
    assert was_paused(str(tmp_path)) is paused


@pytest.mark.parametrize("text", ["", "[]", '{"token": 1', '{"members": 5}'])
def test_a_memory_that_cannot_be_read_needs_a_person(tmp_path: Path, text: str) -> None:
    (tmp_path / MEMORY_NAME).write_text(text)
    with pytest.raises(DataDirectoryError):
        StateDirectory(tmp_path).load()
    assert not was_paused(str(tmp_path))


def test_a_field_of_a_newer_version_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / MEMORY_NAME).write_text('{"token": 4, "colour": "blue"}')
    assert StateDirectory(tmp_path).load().token == 4


def test_a_wait_ends_at_its_instant_of_the_boot_clock() -> None:
    waiter, clock = Waiter(), BootClock()
    until = clock.now() + 0.05
    assert waiter.wait(until) is False
    assert clock.now() >= until
    waiter.close()


def test_a_wake_that_came_before_the_wait_ends_it() -> None:
    waiter = Waiter()
    waiter.wake()
    assert waiter.wait(BootClock().now() + 30) is True
    waiter.close()


def test_another_thread_ends_the_wait() -> None:
    waiter = Waiter()
    threading.Timer(0.05, waiter.wake).start()
    assert waiter.wait(BootClock().now() + 30) is True
    waiter.close()


def test_the_end_of_the_watched_process_ends_the_wait() -> None:
    waiter = Waiter()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    waiter.watch(process.pid)
    process.kill()
    assert waiter.wait(BootClock().now() + 30) is True
    process.wait()
    waiter.watch(process.pid)  # it has gone: that ends the next wait at once
    assert waiter.wait(BootClock().now() + 30) is True
    waiter.close()


def test_a_waiter_gives_its_descriptors_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    waiter = Waiter()
    waiter.watch(os.getpid())
    waiter.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_record_with_this_nodes_own_address_is_its_own() -> None:
    me = w.world().me
    assert namesake(me, w.member("a")) is None
    assert namesake(me, None) is None


def test_an_earlier_agent_that_does_not_answer_is_no_namesake() -> None:
    assert namesake(w.world().me, w.member("a", api_url="http://127.0.0.1:1/patroni")) is None
