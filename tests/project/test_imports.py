"""What each process has loaded once it is put together: memory is counted in modules, and one careless import is a MiB on every node."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STARTUP = {
    "__main__",
    "sitecustomize",
    "usercustomize",
    "_distutils_hack",
    "_virtualenv",
}  # of the interpreter itself, and of editable installs
CYTHON = {"cython_runtime"}
ELSEWHERE = {"hacore.cli", "hacore.demo", "hacore.testing"}
SHOW = "import json, sys; print(json.dumps(sorted(sys.modules)))"

AGENT = """
import os
from hacore.agent.assembly import assemble
from hacore.agent.run import PLUGIN_SCHEMAS, SettingsSource, load_in_child, setup
import hacore.daemon.agent
loaded = load_in_child(path, os.environ, plugins=PLUGIN_SCHEMAS)
setup(loaded.local.log)
assemble(SettingsSource(loaded, path, dict(os.environ)), dict(os.environ))
"""
REST = """
import os
from hacore.api.process import SNAPSHOT_VARIABLE, RestProcess
from hacore.guard.word import create_memory
RestProcess(path, {**os.environ, SNAPSHOT_VARIABLE: str(create_memory("snapshot", 1 << 20))})
"""
MAIN = "import hacore.daemon.main"
GUARD = "import hacore.guard.process"


def loaded_by(program: str, tmp_path: Path) -> set[str]:
    """Run a program in an interpreter of its own and return the modules that it has loaded at its end."""
    path = tmp_path / "node.yml"
    path.write_text(yaml.safe_dump(settings(tmp_path)))
    (tmp_path / "data.hacore").mkdir(mode=0o700)
    code = f"path = {str(path)!r}\n{program}\n{SHOW}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def settings(tmp_path: Path) -> dict[str, object]:
    login = {"username": "postgres", "password": "secret"}
    return {
        "scope": "imports",
        "name": "node",
        "etcd3": {"host": "127.0.0.1:1"},
        "restapi": {"listen": "127.0.0.1:8008", "connect_address": "127.0.0.1:8008"},
        "postgresql": {
            "listen": "127.0.0.1:5432",
            "connect_address": "127.0.0.1:5432",
            "data_dir": str(tmp_path / "data"),
            "authentication": {"superuser": login, "replication": login},
        },
    }


def tops(modules: set[str]) -> set[str]:
    """Return what is not of the standard library, by distribution."""
    found = {name.split(".")[0] for name in modules}
    return {name for name in found - sys.stdlib_module_names - STARTUP if not name.startswith(("_cython", "__editable__"))}


def rooms(modules: set[str]) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in modules if name.startswith("hacore.")}


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        pytest.param(AGENT, {"hacore", "hacore_dcs_etcd", "psycopg2", "pluggy", "stevedore", "psutil"}, id="agent"),
        pytest.param(REST, {"hacore", "psycopg2", "falcon", "gunicorn", *CYTHON}, id="rest"),
        pytest.param(MAIN, {"hacore"}, id="main"),
        pytest.param(GUARD, {"hacore"}, id="guard"),
    ],
)
def test_a_process_loads_no_library_that_it_can_do_without(program: str, allowed: set[str], tmp_path: Path) -> None:
    assert tops(loaded_by(program, tmp_path)) <= allowed


@pytest.mark.parametrize(
    ("program", "forbidden"),
    [
        pytest.param(AGENT, ELSEWHERE | {"hacore.api"}, id="agent"),
        pytest.param(REST, ELSEWHERE | {"hacore.act", "hacore.agent", "hacore.decide", "hacore.observe", "hacore.plugins"}, id="rest"),
    ],
)
def test_a_process_loads_no_room_that_it_does_not_live_in(program: str, forbidden: set[str], tmp_path: Path) -> None:
    assert rooms(loaded_by(program, tmp_path)) & forbidden == set()


def test_the_agent_and_the_rest_server_leave_the_schemas_to_a_child(tmp_path: Path) -> None:
    for number, program in enumerate((AGENT, REST)):
        place = tmp_path / str(number)
        place.mkdir()
        loaded = loaded_by(program, place)
        assert {name for name in loaded if name.startswith("hacore.config.schemas")} | loaded & {"hacore.config.loading"} == set()


def test_the_guard_does_without_the_expensive_part_of_the_standard_library(tmp_path: Path) -> None:
    expensive = {"asyncio", "dataclasses", "email", "http", "inspect", "logging", "pathlib", "ssl", "subprocess", "urllib"}
    assert loaded_by(GUARD, tmp_path) & expensive == set()
