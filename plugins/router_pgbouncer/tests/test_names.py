"""A console at a name: found at each of its addresses, and never waited for longer than its time, whatever the name server does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock
from hacore.testing.pgbouncer import PgBouncer
from hacore_router_pgbouncer.console import Console
from hacore_router_pgbouncer.hosts import is_one_machine, with_addresses

PROGRAM = Path(__file__).parent / "programs" / "unnamed.py"
MOST_S = 3.0  # less than the name server is waited for


def test_a_name_server_that_does_not_answer_holds_up_nothing_else_in_the_process(scratch: Path) -> None:
    words = ["unshare", "--mount", "--net", *(() if os.geteuid() == 0 else ("--map-root-user",)), sys.executable, str(PROGRAM)]
    done = subprocess.run([*words, str(scratch)], capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    assert found["gap_s"] < MOST_S / 2  # the loop's thread ran
    assert "no answer in time" in found["said"]
    assert found["took_s"] < MOST_S
    assert (found["answers"], found["asked_s"] < MOST_S) == (False, True)


def test_a_console_at_a_name_is_asked(bouncer: PgBouncer) -> None:
    console = Console(bouncer.console.replace("127.0.0.1", "localhost"), None, 5.0)
    assert console.command("SHOW VERSION")
    assert console.is_here
    console.close()


@pytest.mark.parametrize(
    ("own", "peer", "expected"),
    [
        ("127.0.0.1", "127.0.0.9", True),
        ("::1", "::1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
    ],
)
def test_a_console_is_on_this_machine_where_both_ends_are(own: str, peer: str, *, expected: bool) -> None:
    assert is_one_machine(own, peer) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"host": "/run/postgresql", "port": "6432"}, {"hostaddr": ""}),
        ({"host": "10.0.0.1", "port": "6432"}, {"hostaddr": "10.0.0.1"}),
        ({"host": "/run,::1", "port": "6432"}, {"hostaddr": ",::1", "port": "6432,6432"}),
        ({"host": "nowhere.test", "hostaddr": "10.0.0.1", "port": "6432"}, {}),
        ({"host": "nowhere.test,nowhere.test", "port": "1,2,3"}, {}),
    ],
)
def test_only_names_are_looked_up(words: dict[str, str], expected: dict[str, str]) -> None:
    clock = BootClock()
    assert with_addresses(words, Resolver(clock), until=clock.now()) == {**words, **expected}
