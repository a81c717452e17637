import sys
import threading
import time

import pytest

from hacore.errors import JobCancelledError
from hacore.postgres.job import JobHandle, limited

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def test_a_program_is_run_to_its_end_with_its_lines_told() -> None:
    lines: list[str] = []
    finished = JobHandle().run(["sh", "-c", "echo one; printf 'two\\rthree'; exit 3"], environment=ENVIRONMENT, on_line=lines.append)
    assert finished.exit_code == 3
    assert lines == ["one", "two", "three"]
    assert "two" in finished.output


def test_only_the_given_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    finished = JobHandle().run([sys.executable, "-c", "import os; print(sorted(os.environ))"], environment={"ONE": "1"})
    assert "PGPASSWORD" not in finished.output


def test_cancelling_ends_a_program_and_what_it_has_started() -> None:
    job = JobHandle()
    threading.Timer(0.3, job.cancel, ("test",)).start()
    began = time.monotonic()
    with pytest.raises(JobCancelledError, match="test"):
        job.run(["sh", "-c", "sleep 60 & sleep 60; true"], environment=ENVIRONMENT)
    assert time.monotonic() - began < 5


def test_what_a_cancelled_program_said_until_its_end_is_told() -> None:
    job, lines = JobHandle(), list[str]()

    def told(line: str) -> None:
        lines.append(line)
        job.cancel("test")

    script = "trap 'echo begun; printf ended; exit 1' TERM; echo one; sleep 60 & wait"
    with pytest.raises(JobCancelledError, match="test"):
        job.run(["sh", "-c", script], environment=ENVIRONMENT, on_line=told)
    assert lines == ["one", "begun", "ended"]


def test_a_cancelled_job_does_nothing_more() -> None:
    job = JobHandle()
    job.cancel("first")
    job.cancel("second")
    for call in (job.check, lambda: job.wait(60), lambda: job.progress("x")):
        with pytest.raises(JobCancelledError, match="first"):
            call()


def test_much_output_is_kept_from_its_end() -> None:
    finished = JobHandle().run([sys.executable, "-c", "print('x' * 1_000_000); print('the end')"], environment=ENVIRONMENT)
    assert finished.output.endswith("the end\n")
    assert len(finished.output) < 10_000


def test_limited_work_is_cancelled_when_its_time_is_over_and_not_after_its_end() -> None:
    with pytest.raises(JobCancelledError, match="it lasts too long"), limited(0.1, "it lasts too long") as job:
        job.run(["sleep", "60"], environment=ENVIRONMENT)
    with limited(0.1, "it lasts too long") as ended:
        pass
    ended.wait(0.3)  # raises as soon as it is cancelled
