"""Run the stages of `make check` and `make test`, the fast ones first, and end with one line: N passed, N failed.

    python scripts/suite.py check|test|test-all [--fail-fast]

Runs inside the virtual environment of the checkout. Every stage has a deadline. What a stage writes, and what its failing tests left in
their scratch directories, is kept and named at the end when something failed. No process that a stage started outlives it: those that
do are ended and counted as a failure.
"""

import compileall
import ctypes
import dataclasses
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hacore.testing.engine import said_of_engine
from hacore.testing.walg.binary import said_of_walg

CHECKOUT = Path(__file__).resolve().parent.parent
PR_SET_CHILD_SUBREAPER = 36
WORKERS = os.environ.get("HACORE_TEST_WORKERS", "2")
GRACE_S = 30.0
MOST_AGAIN = 8  # where more than these fail it is not the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One command. For pytest the tests are counted, for any other tool the stage itself is."""

    name: str
    command: tuple[str, ...]
    deadline_s: float
    is_pytest: bool = False
    looks_again: bool = False  # tests of real servers that fail are run once more, one after the other, and named

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return self.name.replace(" ", "-")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of the stages so far."""

    passed: list[str] = field(default_factory=list)
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # of tests that failed, as pytest takes them on its command line
    second: list[str] = field(default_factory=list)  # failed while others ran beside them, and passed alone


def tools() -> list[Stage]:
    return [
        Stage(name="ruff check", command=("ruff", "check"), deadline_s=60),
        Stage(name="ruff format", command=("ruff", "format", "--check", "--diff"), deadline_s=60),
        Stage(name="lint-imports", command=("lint-imports",), deadline_s=120),
        Stage(name="mypy", command=("mypy",), deadline_s=300),
        pytest("project", ["tests/project"], deadline_s=300),
    ]


def pytest(name: str, paths: Sequence[str], *, deadline_s: float, options: tuple[str, ...] = ()) -> Stage:
    there = [path for path in paths if (CHECKOUT / path).exists()] or paths  # without a path pytest would run everything
    return Stage(name=name, command=("pytest", "--durations=5", *options, *there), deadline_s=deadline_s, is_pytest=True)


def tests(*, slow: bool) -> list[Stage]:
    chosen = () if slow else ("-m", "not slow")
    computing, waiting = (
        ("-n", str(share * int(WORKERS)), "--dist", "loadgroup") for share in (1, 2)
    )  # most of what a store is tried for is that time passes; a cluster waits for more than half of its time
    more = 6.0 if slow else 1.0
    return [
        pytest("unit", ["tests/unit"], deadline_s=300 * more, options=(*chosen, *computing)),
        pytest("simulation", ["tests/simulation"], deadline_s=600 * more, options=(*chosen, *computing)),
        looking_again(pytest("plugins", ["plugins"], deadline_s=1800 * more, options=(*chosen, *waiting))),
        looking_again(  # whole sites first: each takes minutes, and others fill the time beside it
            pytest("integration", ["tests/sites", "tests/integration", "tests/chaos"], deadline_s=2400 * more, options=(*chosen, *waiting))
        ),
    ]


def looking_again(stage: Stage) -> Stage:
    return dataclasses.replace(stage, looks_again=True)


def again(stage: Stage, places: Sequence[str]) -> Stage:
    """The tests of a stage that failed, alone: what a busy machine has spoilt passes then, what is broken does not."""
    options = tuple(word for word in stage.command if not (CHECKOUT / word).exists())
    return Stage(name=f"{stage.name} again", command=(*options, "-n", "0", *places), deadline_s=stage.deadline_s / 2, is_pytest=True)


def run_stage(stage: Stage, logs: Path, tally: Tally) -> None:
    """Run one stage and add what came of it to the tally; where the stage says so, look at a few that failed once more."""
    first = Tally()
    run_once(stage, logs, first)
    if stage.looks_again and 0 < len(first.failed) <= MOST_AGAIN:
        second = Tally()
        run_once(again(stage, first.places), logs, second)
        first.passed += second.passed
        first.second = [name for name in first.failed if name in second.passed]
        first.failed = [name for name in first.failed if name not in first.second] + [
            one for one in second.failed if one not in first.failed
        ]
    tally.passed += first.passed
    tally.skipped += first.skipped
    tally.failed += first.failed
    tally.second += first.second


def run_once(stage: Stage, logs: Path, tally: Tally) -> None:
    """Run one command under its deadline and count."""
    began = time.monotonic()
    report = logs / f"{stage.slug}.xml"
    report_option = (f"--junitxml={report}", "-o", "junit_family=xunit1") if stage.is_pytest else ()
    print(f"== {stage.name}: {' '.join(stage.command)}", flush=True)
    process = subprocess.Popen(
        [*stage.command, *report_option],
        cwd=CHECKOUT,
        env={**os.environ, "HACORE_TEST_LOGS": str(logs), "COLUMNS": os.environ.get("COLUMNS", "120")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    is_late, survivors = follow(process, stage, logs)
    code = process.returncode
    if stage.is_pytest:
        count_tests(stage, report, code, tally)
    elif code == 0:
        tally.passed.append(stage.name)
    else:
        tally.failed.append(f"{stage.name}: exit code {code}")
    if is_late:
        tally.failed.append(f"{stage.name}: not done within {stage.deadline_s:.0f} s")
    tally.failed.extend(f"{stage.name}: left running: {what}" for what in survivors)
    print(f"== {stage.name}: {'ok' if code == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s\n", flush=True)


def follow(process: subprocess.Popen[str], stage: Stage, logs: Path) -> tuple[bool, list[str]]:
    """Pass the output on until the stage is done or its time is up; say whether it was late, and what it left running."""
    late = threading.Event()
    timer = threading.Timer(stage.deadline_s, end_late_stage, (process, late))
    reader = threading.Thread(target=pass_on, args=(process, logs / f"{stage.slug}.log"), daemon=True)
    timer.start()
    reader.start()
    try:
        reap_until_done(process)
    except KeyboardInterrupt:
        end_stage(process)
        reap_until_done(process)
        end_survivors()
        raise
    finally:
        timer.cancel()
    survivors = end_survivors()  # before the end of the output is awaited: they may hold it open
    reader.join(GRACE_S)
    return late.is_set(), survivors


def reap_until_done(process: subprocess.Popen[str]) -> None:
    """Wait for the stage, and meanwhile for every orphan that falls to us, so that a test sees a dead process as gone."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is None or ended.si_pid == process.pid:
            process.wait()
            return
        os.waitpid(ended.si_pid, 0)


def pass_on(process: subprocess.Popen[str], log: Path) -> None:
    if process.stdout is None:
        return
    with log.open("w") as kept, process.stdout as lines:
        for line in lines:
            sys.stdout.write(line)
            sys.stdout.flush()
            kept.write(line)


def end_late_stage(process: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    end_stage(process)


def end_stage(process: subprocess.Popen[str]) -> None:
    """Let pytest take its servers down, then make an end of it."""

    def signal_group(number: int) -> None:
        if process.returncode is None:  # not yet reaped, so the number of the group is still its own
            os.killpg(process.pid, number)

    signal_group(signal.SIGINT)
    kill = threading.Timer(GRACE_S, signal_group, (signal.SIGKILL,))
    kill.daemon = True
    kill.start()


def end_survivors() -> list[str]:
    """End what a stage left running. We are the subreaper of all that it started, so orphans are our children."""
    survivors = psutil.Process().children(recursive=True)
    psutil.wait_procs(survivors, timeout=5)  # those that are just going
    found = []
    for process in survivors:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"pid {process.pid}: {' '.join(process.cmdline())[:120] or process.name()}")
                process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(survivors, timeout=5)
    return found


def count_tests(stage: Stage, report: Path, code: int, tally: Tally) -> None:
    """Read pytest's own report; one that is missing or empty is a failure of the stage."""
    if not report.exists():
        tally.failed.append(f"{stage.name}: pytest ended with exit code {code} and without a report")
        return
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by pytest a moment ago
    if not cases:
        tally.failed.append(f"{stage.name}: no test was found")
    for case in cases:
        name = f"{stage.name.removesuffix(' again')}: {case.get('classname', '')}::{without_group(case.get('name', ''))}"
        if case.find("failure") is not None or case.find("error") is not None:
            if name not in tally.failed:  # a test that failed and whose fixtures then failed stands there twice
                tally.failed.append(name)
                tally.places.append(place_of(case))
        elif case.find("skipped") is not None:
            tally.skipped += 1
        else:
            tally.passed.append(name)


def without_group(name: str) -> str:
    """A test's name without the group that keeps it in one process with others (``name[parameters]@group``)."""
    head, _, group = name.rpartition("@")
    return head if head and "]" not in group else name


def place_of(case: ET.Element) -> str:
    """Where a test stands: ``file::Class::name``. The report's own ``file`` is that of the code, which a class may have inherited."""
    whole, file = case.get("classname", ""), case.get("file", "")  # the module's name and then that of the class
    words = whole.split(".")
    here = (size for size in range(len(words), 1, -1) if (CHECKOUT / "/".join(words[:size])).with_suffix(".py").is_file())
    length = next(here, 0)
    if length:
        file, inside = "/".join(words[:length]) + ".py", words[length:]
    else:  # a module that is not of this checkout
        inside = whole.rpartition(Path(file).stem)[2].strip(".").split(".")
    return "::".join(part for part in (file, *inside, without_group(case.get("name", ""))) if part)


def summary(tally: Tally, logs: Path, took_s: float) -> int:
    if tally.second:
        print("Failed beside others and passed alone:")
        for name in tally.second:
            print(f"  {name}")
    if tally.failed:
        print("Failed:")
        for name in tally.failed:
            print(f"  {name}")
        print(f"Logs and scratch directories of what failed: {logs}")
    else:
        shutil.rmtree(logs, ignore_errors=True)
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"Took {dt.timedelta(seconds=round(took_s))}{skipped}.")
    print(f"{len(tally.passed)} passed, {len(tally.failed)} failed", flush=True)
    return 1 if tally.failed else 0


def adopt_orphans() -> None:
    """Make every process that a stage leaves behind a child of ours."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def main(arguments: list[str]) -> int:
    options = {"--fail-fast"}
    names = [word for word in arguments if word not in options]
    if len(names) != 1 or names[0] not in {"check", "test", "test-all"}:
        print(__doc__, file=sys.stderr)
        return 2
    adopt_orphans()
    stages = tools() + ([] if names[0] == "check" else tests(slow=names[0] == "test-all"))
    logs = Path(tempfile.mkdtemp(prefix="hacore-test-"))
    logs.chmod(0o755)  # the user who runs PostgreSQL looks in
    began = time.monotonic()
    tally = Tally()
    for directory in ("hacore", "plugins", "tests"):  # once, and not by each process of an unprivileged user, who cannot write here
        compileall.compile_dir(CHECKOUT / directory, quiet=1)
    for stage in stages:
        run_stage(stage, logs, tally)
        if tally.failed and "--fail-fast" in arguments:
            break
    if names[0] != "check":
        print(f"wal-g of these tests: {said_of_walg()}")
        print(f"sites in containers: {said_of_engine()}")
    return summary(tally, logs, time.monotonic() - began)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; what was running has been ended")
