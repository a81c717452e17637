"""Distributions of plugins as pip would leave them: modules and a dist-info, on the path of the interpreter."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a distribution: its module's code and its entry points by kind."""
    modules: list[str] = []

    def put(module: str, code: str, version: str = "1.2", **points: dict[str, str]) -> Path:
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: {version}\n")
        groups = [
            f"[hacore.{kind}]\n" + "".join(f"{name} = {target}\n" for name, target in found.items()) for kind, found in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))
        modules.append(module)
        monkeypatch.syspath_prepend(str(site))
        return site

    yield put
    for module in modules:
        sys.modules.pop(module, None)
