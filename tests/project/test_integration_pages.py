"""The pages about what stands around a cluster: the configuration on each is right to the last key."""

import os
from pathlib import Path

import pytest

from hacore.testing.walg.binary import find_walg
from hacore_replica_barman.schema import BarmanSchema, CloudSchema
from hacore_replica_walg.schema import WalgSchema
from tests.project.conftest import CHECKOUT
from tests.project.test_store_pages import configurations, sections, validate

PAGES = sorted((CHECKOUT / "docs" / "integrations").glob("*.md"))


@pytest.mark.parametrize(
    ("page", "text"), [(page, text) for page in PAGES for text in configurations(page)], ids=lambda one: getattr(one, "stem", "")
)
def test_the_configuration_of_a_page_is_valid(page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{find_walg(tmp_path).path.parent}{os.pathsep}{os.environ['PATH']}")  # a program that is looked for
    validate(text, tmp_path)


def test_every_key_of_the_section_walg_is_on_the_plugins_page(checkout: Path) -> None:
    page = (checkout / "plugins" / "replica_walg" / "README.md").read_text()
    assert [name for name in WalgSchema().fields if f"`{name}`" not in page] == []


def test_every_key_of_the_section_barman_is_on_the_plugins_page(checkout: Path) -> None:
    page = (checkout / "plugins" / "replica_barman" / "README.md").read_text()
    assert [name for name in (*BarmanSchema().fields, *CloudSchema().fields) if f"`{name}`" not in page] == []


def test_every_page_has_a_configuration_with_plugins() -> None:
    assert [page.name for page in PAGES if not any("plugins" in sections(text) for text in configurations(page))] == []


def test_every_page_is_on_the_page_of_all_pages(checkout: Path) -> None:
    index = (checkout / "docs" / "index.md").read_text()
    assert [page.name for page in PAGES if f"integrations/{page.name}" not in index] == []
