"""The lock file belongs to the manifests beside it, and names the public index alone."""

import re
import shutil
import subprocess
from pathlib import Path


def test_the_lock_file_names_no_host_but_the_public_index(checkout: Path) -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (checkout / "uv.lock").read_text()))
    assert hosts <= {"pypi.org", "files.pythonhosted.org"}


def test_the_lock_file_is_made_from_these_manifests(checkout: Path) -> None:
    uv = shutil.which("uv")
    assert uv is not None, "uv is not on PATH; run the tests by `make check`"
    done = subprocess.run([uv, "lock", "--check"], cwd=checkout, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{done.stderr}\n`uv lock` writes it anew"
