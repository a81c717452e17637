"""What the tests of the project itself share: where the checkout is, and its Python files as syntax trees."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One Python file of the project, relative to the checkout."""

    path: Path
    text: str
    tree: ast.Module


@pytest.fixture(scope="session")
def checkout() -> Path:
    return CHECKOUT


@pytest.fixture(scope="session")
def source_files() -> list[SourceFile]:
    roots = [CHECKOUT / name for name in ("hacore", "plugins", "tests", "bench", "scripts", "examples")]
    paths = sorted(path for root in roots for path in root.rglob("*.py"))
    texts = {path: path.read_text() for path in paths}
    return [SourceFile(path=path.relative_to(CHECKOUT), text=text, tree=ast.parse(text)) for path, text in texts.items()]
