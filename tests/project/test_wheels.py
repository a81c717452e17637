"""Every distribution builds as a wheel, and the wheels alone make a working command: no file of the checkout is needed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEADLINE_S = 120
STORES = {
    "sqlite": ("hacore_dcs_sqlite", "sqlite: {{path: {directory}/store.db}}"),
    "etcd3": ("hacore_dcs_etcd", "etcd3: {{hosts: ['127.0.0.1:2379']}}"),
}
CONFIGURATION = """\
scope: example
name: one
{store}
restapi: {{listen: '127.0.0.1:8008', connect_address: '127.0.0.1:8008'}}
postgresql:
  listen: 127.0.0.1:5432
  connect_address: 127.0.0.1:5432
  data_dir: /nowhere/data
  authentication:
    superuser: {{username: postgres, password: example}}
    replication: {{username: replicator, password: example}}
"""

Call = Callable[..., subprocess.CompletedProcess[str]]


def call(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "PATRONI_", "HACORE_"))}
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def must(*command: str | Path, cwd: Path) -> str:
    done = call(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All wheels of the workspace, by the name of their distribution."""
    target = tmp_path_factory.mktemp("wheels")
    for project in [checkout, *sorted(path.parent for path in (checkout / "plugins").glob("*/pyproject.toml"))]:
        must(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=project)
    return {path.name.split("-")[0]: path for path in target.glob("*.whl")}


@pytest.fixture(scope="module", params=sorted(STORES))
def installed(
    request: pytest.FixtureRequest, wheels: dict[str, Path], checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Name of a store's section and a clean environment that has the core and that store, from wheels."""
    section: str = request.param
    uv = shutil.which("uv")
    assert uv is not None, "uv is not on PATH; run the tests by `make check`"
    directory = tmp_path_factory.mktemp(section)
    pins = must(uv, "export", "--quiet", "--frozen", "--all-packages", "--no-dev", "--no-emit-workspace", "--no-hashes", cwd=checkout)
    (directory / "pins.txt").write_text(pins)
    python = directory / "venv" / "bin" / "python"
    must(uv, "venv", "--quiet", "--python", sys.executable, directory / "venv", cwd=directory)
    chosen = [wheels["hacore"], wheels[STORES[section][0]]]
    must(uv, "pip", "install", "--quiet", "--python", python, "-c", directory / "pins.txt", *chosen, cwd=directory)
    return section, directory


def test_every_distribution_of_the_workspace_becomes_a_wheel(wheels: dict[str, Path], checkout: Path) -> None:
    plugins = {f"hacore_{path.parent.name}" for path in (checkout / "plugins").glob("*/pyproject.toml")}
    assert set(wheels) == {"hacore"} | plugins


def test_a_clean_environment_lists_the_store_and_the_builtin_plugins(installed: tuple[str, Path]) -> None:
    section, directory = installed
    listed = must(directory / "venv" / "bin" / "hacore", "plugins", "list", cwd=directory)
    for name in (section, "basebackup", "script", "callbacks"):
        assert name in listed


def test_a_clean_environment_validates_a_configuration(installed: tuple[str, Path]) -> None:
    section, directory = installed
    path = directory / "config.yml"
    path.write_text(CONFIGURATION.format(store=STORES[section][1].format(directory=directory)))
    must(directory / "venv" / "bin" / "hacore", "validate", path, cwd=directory)


def test_a_clean_environment_refuses_a_store_that_is_not_installed(installed: tuple[str, Path]) -> None:
    section, directory = installed
    other = next(name for name in STORES if name != section)
    path = directory / "other.yml"
    path.write_text(CONFIGURATION.format(store=STORES[other][1].format(directory=directory)))
    refused = call(directory / "venv" / "bin" / "hacore", "validate", path, cwd=directory)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert other in refused.stdout + refused.stderr
