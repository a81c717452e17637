"""What `make test` promises beside running tests: counts, deadlines, kept logs, and nothing left running."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# One stage in a process of its own: it becomes the parent of orphans, and that must not be the test's process.
DRIVER = """
import sys
from pathlib import Path
from scripts import suite
suite.adopt_orphans()
tally = suite.Tally()
command = tuple(word for word in sys.argv[3:] if word != "twice")
is_pytest, looks_again = command[0] == "pytest", "twice" in sys.argv
stage = suite.Stage(name="a stage", command=command, deadline_s=float(sys.argv[2]), is_pytest=is_pytest, looks_again=looks_again)
suite.run_stage(stage, Path(sys.argv[1]), tally)
sys.exit(suite.summary(tally, Path(sys.argv[1]), 1.0))
"""


def run(checkout: Path, logs: Path, *command: str, deadline_s: float = 60) -> tuple[int, list[str]]:
    logs.mkdir(exist_ok=True)
    words = [sys.executable, "-c", DRIVER, str(logs), str(deadline_s), *command]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_the_last_line_counts_the_tests(checkout: Path, logs: Path, tmp_path: Path) -> None:
    path = tmp_path / "test_three.py"
    path.write_text("def test_one(): pass\ndef test_two(): pass\ndef test_three(): assert False\n")
    code, lines = run(checkout, logs, "pytest", "-p", "no:cacheprovider", str(path))
    assert (code, lines[-1]) == (1, "2 passed, 1 failed")
    assert any(line.endswith("::test_three") for line in lines)


def test_a_test_that_passes_alone_is_named_and_one_that_does_not_fails(checkout: Path, logs: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    lines_of_once = (
        "from pathlib import Path",
        f"MARK = Path({str(mark)!r})",
        "import pytest",
        "def test_one(): pass",
        "class TestTwo:",
        "    @pytest.mark.xdist_group('two of a kind')",
        "    @pytest.mark.parametrize('address', ['a@b'])",
        "    def test_once(self, address):",
        "        first = not MARK.exists()",
        "        MARK.touch()",
        "        assert not first",
    )
    path = tmp_path / "test_again.py"
    path.write_text("\n".join(lines_of_once) + "\n")
    groups = (f"--rootdir={checkout}", "-n", "1", "--dist", "loadgroup")
    code, lines = run(checkout, logs, "twice", "pytest", "-p", "no:cacheprovider", *groups, str(path))
    assert (code, lines[-1]) == (0, "2 passed, 0 failed")
    assert any(line.endswith("::test_once[a@b]") for line in lines[lines.index("Failed beside others and passed alone:") :])
    path.write_text("def test_one(): pass\ndef test_never(): assert False\n")
    code, lines = run(checkout, logs, "twice", "pytest", "-p", "no:cacheprovider", *groups, str(path))
    assert (code, lines[-1]) == (1, "1 passed, 1 failed")


def test_logs_are_kept_and_named_when_something_failed(checkout: Path, logs: Path) -> None:
    _, lines = run(checkout, logs, "sh", "-c", "echo what went wrong; exit 3")
    assert any(str(logs) in line for line in lines)
    assert (logs / "a-stage.log").read_text() == "what went wrong\n"


def test_logs_are_removed_when_nothing_failed(checkout: Path, logs: Path) -> None:
    assert run(checkout, logs, "true")[0] == 0
    assert not logs.exists()


def test_a_stage_without_tests_fails(checkout: Path, logs: Path, tmp_path: Path) -> None:
    assert run(checkout, logs, "pytest", "-p", "no:cacheprovider", str(tmp_path))[1][-1] == "0 passed, 1 failed"


def test_a_process_that_outlives_its_stage_is_ended_and_counted(checkout: Path, logs: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code, lines = run(checkout, logs, "sh", "-c", f"setsid sleep 1000 & echo $! >{pid_file}")
    assert code == 1
    assert any("left running" in line and "sleep 1000" in line for line in lines)
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_a_stage_that_is_not_done_in_time_is_ended(checkout: Path, logs: Path) -> None:
    code, lines = run(checkout, logs, "sleep", "1000", deadline_s=0.5)
    assert code == 1
    assert any("not done within" in line for line in lines)


def test_a_test_that_a_class_has_inherited_is_found_again(checkout: Path) -> None:
    module = "plugins.dcs_sqlite.tests.test_conformance"
    case = f'<testcase classname="{module}.TestSqlite" name="test_x[1]" file="hacore/testing/conformance/lock.py"/>'
    script = f"import xml.etree.ElementTree as ET; from scripts import suite; print(suite.place_of(ET.fromstring({case!r})))"
    done = subprocess.run([sys.executable, "-c", script], cwd=checkout, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "plugins/dcs_sqlite/tests/test_conformance.py::TestSqlite::test_x[1]"
