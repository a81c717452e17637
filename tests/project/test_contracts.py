"""import-linter checks the arrows between modules; this checks that none of our modules is missing from its lists."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

# Source of a contract, and all of hacore that it may import.
ALLOWED = {
    "hacore.decide": {"decide", "model"},
    "hacore.guard": {"guard"},
    "hacore.builtin": {"builtin", "convert", "errors", "hookspecs", "http", "interfaces", "model", "schema", "sightings"},
}


@pytest.fixture(scope="module")
def contracts(checkout: Path) -> list[dict[str, Any]]:
    manifest = tomllib.loads((checkout / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = manifest["tool"]["importlinter"]["contracts"]
    return found


@pytest.fixture(scope="module")
def modules(checkout: Path) -> set[str]:
    """Top-level modules and packages of hacore."""
    paths = (checkout / "hacore").iterdir()
    return {path.stem for path in paths if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").exists())} - {"__init__"}


@pytest.mark.parametrize("source", sorted(ALLOWED))
def test_what_a_closed_room_may_not_import_is_everything_else(source: str, contracts: list[dict[str, Any]], modules: set[str]) -> None:
    lists = [set(contract["forbidden_modules"]) for contract in contracts if source in contract.get("source_modules", ())]
    forbidden = {name.removeprefix("hacore.") for names in lists for name in names}
    assert modules - forbidden - ALLOWED[source] == set()


def test_every_distribution_of_a_plugin_is_under_contract(checkout: Path, contracts: list[dict[str, Any]]) -> None:
    packages = {path.name for path in (checkout / "plugins").glob("*/src/*") if (path / "__init__.py").exists()}
    sources = next(set(contract["source_modules"]) for contract in contracts if "hacore.builtin" in contract.get("source_modules", ()))
    targets = next(
        set(contract["forbidden_modules"])
        for contract in contracts
        if "hacore.builtin" in contract.get("forbidden_modules", ()) and "hacore.act" in contract["source_modules"]
    )
    assert packages <= sources
    assert packages <= targets
