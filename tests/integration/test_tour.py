"""The tour of five minutes, as it stands in README.md: its commands are run, in another place and without the waiting."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hacore.testing.ports import Ports
from hacore.testing.workdir import server_user

README = Path(__file__).resolve().parents[2] / "README.md"
NODES = (1, 2, 3)
DEADLINE_S = 110
# In place of each `sleep`: until one node is primary and so many stream, as many as the tour has running by then.
WAIT = """
wanted=(0 2 1 2)
sleep() {
  local replicas=${wanted[0]} i port primary streaming
  wanted=("${wanted[@]:1}")
  for i in $(seq 400); do
    primary=0 streaming=0
    for port in PORTS; do
      curl -fs -o /dev/null "http://127.0.0.1:$port/primary" && primary=$((primary + 1))
      curl -fs "http://127.0.0.1:$port/replica" | grep -q streaming && streaming=$((streaming + 1))
    done
    [ "$primary $streaming" = "1 $replicas" ] && return
    command sleep 0.1
  done
  echo "not ready: $primary primary, $streaming streaming"
}
"""


def tour() -> str:
    """The commands of the page, without the choice of the environment."""
    part = README.read_text().partition("## Five minutes")[2].partition("## Where to go next")[0]
    lines = [line[4:] for line in part.splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not line.startswith("PATH="))


def moved(text: str, place: Path, rest: dict[int, int], postgres: dict[int, int]) -> str:
    """The same commands in a directory and on ports of our own."""
    text = text.replace("/tmp/tour", str(place / "tour"))
    text = (
        text.replace("hacore run node", f"hacore run {place}/tour/node").replace("801$n", "${rest[$n]}").replace("544$n", "${postgres[$n]}")
    )
    for number, port in rest.items():
        text = text.replace(f"801{number}", str(port))
    arrays = [
        f"{name}=({' '.join(f'[{n}]={port}' for n, port in ports.items())})" for name, ports in (("rest", rest), ("postgres", postgres))
    ]
    return "\n".join([*arrays, WAIT.replace("PORTS", " ".join(map(str, rest.values()))), text])


def end_session(session: int) -> None:
    """End what the shell started and left. The guards are in sessions of their own and end with their agents' servers."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                process.send_signal(signal.SIGKILL)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


@pytest.fixture
def shell(scratch: Path) -> Iterator[subprocess.Popen[str]]:
    user = server_user()
    with Ports() as ports:
        commands = moved(tour(), scratch, {n: ports.take() for n in NODES}, {n: ports.take() for n in NODES})
        script = scratch / "commands"
        script.write_text(commands)  # in a file, because the tour's pkill would find a command line that names what it looks for
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=scratch,
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(scratch), "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
        )
        yield process
        end_session(process.pid)
        process.wait()


@pytest.mark.timeout(DEADLINE_S + 30)
def test_the_tour_of_five_minutes_shows_what_it_says(shell: subprocess.Popen[str]) -> None:
    output, _ = shell.communicate(timeout=DEADLINE_S)
    print(output)
    assert "not ready" not in output
    assert "Traceback" not in output
    assert "Error" not in output
    assert "200" in output.split()  # of /primary at the first node
    leaders = re.findall(r"(node\d)\W+\S+\W+Leader", output)
    first, *_, moved_to, taken_over_by, last = leaders
    assert (first, moved_to) == ("node1", "node2")
    assert taken_over_by in {"node1", "node3"}
    assert last == taken_over_by
