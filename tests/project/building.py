"""Wheels of the checkout, and clean environments that know them alone: what somebody has who never saw the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

DEADLINE_S = 120
OURS = ("PYTHON", "VIRTUAL_ENV", "PATRONI_", "HACORE_")


def call(*command: str | Path, cwd: Path, deadline_s: float = DEADLINE_S, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without anything of ours in its environment but what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )


def must(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, and return what it printed."""
    done = call(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def build_wheel(project: Path, target: Path) -> Path:
    """Build the wheel of a distribution into a directory."""
    before = set(target.glob("*.whl"))
    must(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=project)
    (built,) = set(target.glob("*.whl")) - before
    return built


def clean_environment(directory: Path, checkout: Path, *wanted: str | Path) -> Path:
    """Make an environment in a directory with these wheels, and what they need in the versions that we test with; its programs."""
    uv = shutil.which("uv")
    assert uv is not None, "uv is not on PATH; run the tests by `make check` or `make test`"
    pins = must(uv, "export", "--quiet", "--frozen", "--all-packages", "--no-emit-workspace", "--no-hashes", cwd=checkout)
    (directory / "pins.txt").write_text(pins)
    python = directory / "venv" / "bin" / "python"
    must(uv, "venv", "--quiet", "--python", sys.executable, directory / "venv", cwd=directory)
    must(uv, "pip", "install", "--quiet", "--link-mode", "copy", "--python", python, "-c", directory / "pins.txt", *wanted, cwd=directory)
    return python.parent
