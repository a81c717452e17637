"""The scripted demonstration as somebody runs it: the installed command, real servers, and what it leaves behind."""

import json
import signal
import subprocess
import sys

import pytest

from hacore.testing.waiting import wait_for
from tests.integration.demo.remains import directory_of, processes_of

START = [sys.executable, "-c", "import sys; from hacore.cli.main import main; main(sys.argv[1:])", "demo"]
STEPS = ["bootstrap", "switchover", "postmaster killed", "node killed", "node returned"]


@pytest.mark.timeout(600)
def test_the_scripted_demonstration_keeps_its_promises_and_says_so_as_json() -> None:
    done = subprocess.run([*START, "--scripted", "--format", "json"], capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["problems"] == []
    assert [step["name"] for step in found["steps"]] == STEPS
    gaps = {step["name"]: step["gap_ms"] for step in found["steps"]}
    assert gaps["bootstrap"] is None
    assert all(gaps[name] > 0 for name in STEPS[1:])
    leaders = [step["leader"] for step in found["steps"]]
    assert leaders[1] != leaders[0]
    assert leaders[3] not in {leaders[2], None}
    assert found["rows"]["acknowledged"] > 0
    assert found["rows"]["lost"] is not None
    assert found["two_writers"] == []
    assert found["lost_wal_bytes"] <= found["allowed_wal_bytes"]
    assert "all as promised" in done.stderr


@pytest.mark.timeout(300)
def test_an_interrupted_demonstration_leaves_nothing_behind() -> None:
    process = subprocess.Popen(START, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    try:
        directory = wait_for(lambda: directory_of(process.pid), "its directory", deadline_s=120)
        wait_for(lambda: list(directory.glob("*/postmaster.pid")), "a first server", deadline_s=120)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "interrupted" in output
    assert not directory.exists()
    assert processes_of(directory) == []
