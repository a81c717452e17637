"""Each rule, hook and setting has a place in the reference and a test that names it."""

import re
from pathlib import Path

import pytest

from hacore.api.app import _operations
from hacore.api.health import rule_for
from scripts import reference as reference_script
from tests.project import vocabulary

MOST_RULES_OF_A_TABLE = 12
OF_THE_REST_SERVER = {"patroni", "liveness", "readiness", "metrics", "failsafe"}  # answered without the agent
REQUEST = re.compile(r"\b(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) /([a-z][a-z_-]*)")


@pytest.fixture(scope="module")
def tests_text(checkout: Path) -> str:
    roots = [path for path in (checkout / "tests").iterdir() if path.is_dir() and path.name != "project"]
    return vocabulary.text_of(*roots, *(checkout / "plugins").glob("*/tests"), checkout / "hacore" / "testing", suffix=".py")


def reference(checkout: Path, page: str) -> str:
    return (checkout / "docs" / "reference" / page).read_text()


def missing_words(names: set[str], text: str) -> list[str]:
    words = set(re.findall(r"[A-Za-z0-9_-]+", text))
    return sorted(names - words)


def named_in_code(text: str) -> str:
    """What a page sets in code type: inline or as a block."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


def test_each_rule_is_documented(checkout: Path) -> None:
    assert missing_words(set(vocabulary.rules()), named_in_code(reference(checkout, "rules.md"))) == []


def test_each_rule_says_what_it_does() -> None:
    assert [name for name, rule in vocabulary.rules().items() if not rule.__doc__] == []


def test_each_rule_is_tested(tests_text: str) -> None:
    assert missing_words(set(vocabulary.rules()), tests_text) == []


def test_a_rule_stands_in_one_module_under_its_name() -> None:
    found = [rule for table in vocabulary.rule_tables().values() for rule in table]
    assert len({rule.__name__ for rule in found}) == len(set(found))


def test_no_table_has_more_rules_than_can_be_kept_in_mind() -> None:
    sizes = {name: len(table) for name, table in vocabulary.rule_tables().items()}
    assert {name: size for name, size in sizes.items() if size > MOST_RULES_OF_A_TABLE} == {}


def test_the_pages_made_from_the_code_are_made_from_this_code() -> None:
    pages = {"rules.md": reference_script.rules_page(), "hooks.md": reference_script.hooks_page()}
    stale = [name for name, text in pages.items() if (reference_script.PAGES / name).read_text() != text]
    assert stale == [], "python scripts/reference.py writes them anew"


def test_each_hook_is_documented(checkout: Path) -> None:
    assert missing_words(set(vocabulary.hooks()), named_in_code(reference(checkout, "hooks.md"))) == []


def test_each_hook_is_tested(tests_text: str) -> None:
    assert missing_words(set(vocabulary.hooks()), tests_text) == []


def test_each_setting_is_documented(checkout: Path) -> None:
    assert missing_words(vocabulary.settings(), named_in_code(reference(checkout, "settings.md"))) == []


def test_each_setting_is_tested(tests_text: str) -> None:
    assert missing_words(vocabulary.settings(), tests_text) == []


def test_every_link_between_pages_leads_somewhere(checkout: Path) -> None:
    pages = [*checkout.glob("*.md"), *(checkout / "docs").rglob("*.md"), *(checkout / "plugins").glob("*/*.md")]
    pages += (checkout / "examples").rglob("*.md")
    links = [(page, target) for page in pages for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())]
    inside = [(page, target) for page, target in links if "://" not in target]
    assert [f"{page.relative_to(checkout)}: {target}" for page, target in inside if not (page.parent / target).exists()] == []


def test_each_request_that_a_page_names_is_one_that_the_rest_server_knows(checkout: Path) -> None:
    pages = [*checkout.glob("*.md"), *(page for place in ("docs", "plugins", "examples") for page in (checkout / place).rglob("*.md"))]
    named = {found for page in pages for found in REQUEST.findall(page.read_text())}
    asked = {(method, name) for name, operations in _operations(lambda: None).items() for method in operations}
    looked = {(method, name) for method, name in named if method == "GET" and (name in OF_THE_REST_SERVER or rule_for(f"/{name}"))}
    assert ("GET", "patroni") in looked
    assert named - asked - looked == set()
