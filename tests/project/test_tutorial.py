"""docs/writing-a-store.md shows the store in examples/dcs_pgtable, and nothing else: tests/integration/plugins runs that store's tests."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

SHOWN = {"python": ".py", "sql": ".sql", "toml": ".toml", "yaml": ".yml"}
COMMANDS = "console"
# All of hacore that a plugin may import, and its tests besides.
OF_A_PLUGIN = ("convert", "errors", "hookspecs", "http", "interfaces", "model", "schema", "sightings")
OF_ITS_TESTS = (*OF_A_PLUGIN, "testing")


@pytest.fixture(scope="module")
def example(checkout: Path) -> Path:
    return checkout / "examples" / "dcs_pgtable"


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "writing-a-store.md").read_text()


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


def is_excerpt(block: str, text: str) -> bool:
    """Whether a block stands in a text, line after line. By what both are indented does not count, and the formatter adds empty lines."""
    wanted, lines = written_lines(textwrap.dedent(block)), written_lines(text)
    parts = (lines[at : at + len(wanted)] for at in range(len(lines) - len(wanted) + 1))
    return any(textwrap.dedent("\n".join(part)).split("\n") == wanted for part in parts)


def written_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def test_every_block_is_code_of_the_example_or_a_command(example: Path, page: str) -> None:
    found = blocks(page)
    assert len(found) * 2 == page.count("\n```")
    assert {language for language, _ in found} <= {*SHOWN, COMMANDS}
    files = {path: path.read_text() for path in example.rglob("*") if path.suffix in SHOWN.values()}
    strange = [
        block
        for language, block in found
        if language != COMMANDS and not any(is_excerpt(block, text) for path, text in files.items() if path.suffix == SHOWN[language])
    ]
    assert strange == []


def test_every_file_of_the_example_is_on_the_page(example: Path, page: str) -> None:
    written = [path.relative_to(example) for path in example.rglob("*") if path.suffix in SHOWN.values() and "__" not in path.name]
    assert [str(path) for path in written if f"(../examples/dcs_pgtable/{path})" not in page] == []


@pytest.mark.parametrize("name", ["dcs_pgtable", "listener_webhook", "replica_nightly"])
def test_an_example_lives_by_the_rule_of_every_plugin(checkout: Path, name: str) -> None:
    strange = []
    for path in (checkout / "examples" / name).rglob("*.py"):
        allowed = OF_ITS_TESTS if "tests" in path.parts else OF_A_PLUGIN
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{one.name}" for one in node.names]
            strange += [f"{path.name}: {name}" for name in names if name.startswith("hacore.") and name.split(".")[1] not in allowed]
    assert strange == []


@pytest.mark.parametrize(("block", "is_one"), [("b\nc\n", True), ("  b\n  c\n", True), ("a\nc\n", False), ("b\n  c\n", False)])
def test_an_excerpt_is_whole_lines_in_their_order(block: str, *, is_one: bool) -> None:
    assert is_excerpt(block, "a\n    b\n    c\n") is is_one
