"""Every distribution builds as a wheel, and the wheels alone make a working command: no file of the checkout is needed."""

from pathlib import Path

import pytest

from tests.project.building import build_wheel, call, clean_environment, must

STORES = {
    "consul": ("hacore_dcs_consul", "consul: {{host: '127.0.0.1:8500'}}"),
    "sqlite": ("hacore_dcs_sqlite", "sqlite: {{path: {directory}/store.db}}"),
    "etcd3": ("hacore_dcs_etcd", "etcd3: {{hosts: ['127.0.0.1:2379']}}"),
    "zookeeper": ("hacore_dcs_zookeeper", "zookeeper: {{hosts: ['127.0.0.1:2181']}}"),
}
CONFIGURATION = """\
scope: example
name: one
{store}
restapi: {{listen: '127.0.0.1:8008', connect_address: '127.0.0.1:8008'}}
postgresql:
  listen: 127.0.0.1:5432
  connect_address: 127.0.0.1:5432
  data_dir: {directory}/data
  authentication:
    superuser: {{username: postgres, password: example}}
    replication: {{username: replicator, password: example}}
"""


@pytest.fixture(scope="module")
def wheels(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All wheels of the workspace, by the name of their distribution."""
    target = tmp_path_factory.mktemp("wheels")
    projects = [checkout, *sorted(path.parent for path in (checkout / "plugins").glob("*/pyproject.toml"))]
    built = [build_wheel(project, target) for project in projects]
    return {path.name.split("-")[0]: path for path in built}


@pytest.fixture(scope="module", params=sorted(STORES))
def installed(
    request: pytest.FixtureRequest, wheels: dict[str, Path], checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Name of a store's section and a clean environment that has the core and that store, from wheels."""
    section: str = request.param
    directory = tmp_path_factory.mktemp(section)
    clean_environment(directory, checkout, wheels["hacore"], wheels[STORES[section][0]])
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
    path.write_text(CONFIGURATION.format(directory=directory, store=STORES[section][1].format(directory=directory)))
    must(directory / "venv" / "bin" / "hacore", "validate", path, cwd=directory)


def test_a_clean_environment_refuses_a_store_that_is_not_installed(installed: tuple[str, Path]) -> None:
    section, directory = installed
    other = next(name for name in STORES if name != section)
    path = directory / "other.yml"
    path.write_text(CONFIGURATION.format(directory=directory, store=STORES[other][1].format(directory=directory)))
    refused = call(directory / "venv" / "bin" / "hacore", "validate", path, cwd=directory)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert other in refused.stdout + refused.stderr
