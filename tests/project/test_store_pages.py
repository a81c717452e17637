"""Each store has a page, and the configuration on it is right to the last key."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hacore.config import load
from hacore.plugins.schemas import InstalledSchemas
from hacore.testing.servers import locate
from tests.project.conftest import CHECKOUT

PAGES = sorted((CHECKOUT / "docs" / "stores").glob("*.md"))
DEBIAN_PROGRAMS = "/usr/lib/postgresql/15/bin"
DEADLINE_S = 60
CERTIFICATE = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=example")


def configurations(page: Path) -> list[str]:
    """The blocks on a page that are a whole configuration."""
    found = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [text for text in found if {"scope", "name"} <= set(sections(text))]


def sections(text: str) -> dict[str, Any]:
    """The document of a block; empty where it is something else than a mapping."""
    document = yaml.safe_load(text)
    return document if isinstance(document, dict) else {}


def texts(value: Any) -> Iterator[str]:
    """All text in a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        yield from (text for one in value for text in texts(one))
    elif isinstance(value, str):
        yield value


def at_home(text: str, home: Path) -> str:
    """The configuration for this machine: its programs, directories below ``home``, and certificates where it names any."""
    text = text.replace(DEBIAN_PROGRAMS, str(locate("postgresql").directory))
    for directory in ("/etc/", "/var/lib/"):
        text = re.sub(rf"(?<=[\s\[]){directory}", f"{home}{directory}", text)
    for path in [Path(found) for found in texts(yaml.safe_load(text)) if found.startswith(str(home))]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".crt", ".pem", ".key"}:
            both = home / "both.pem"
            if not both.exists():
                subprocess.run(
                    ["openssl", *CERTIFICATE, "-out", both, "-keyout", both], capture_output=True, timeout=DEADLINE_S, check=True
                )
            path.write_bytes(both.read_bytes())
    return text


def validate(text: str, home: Path) -> None:
    """Have a configuration checked as its administrator would, and see that there is nothing to remark."""
    configuration = home / "node1.yml"
    configuration.write_text(at_home(text, home))
    command = [sys.executable, "-c", "from hacore.cli.main import main; main()", "validate", "--ignore-listen-port", "--format", "json"]
    done = subprocess.run([*command, str(configuration)], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)
    assert load(str(configuration), {}, plugins=InstalledSchemas(), strict=True).warnings == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_configuration_of_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    (text,) = configurations(page)
    validate(text, tmp_path)


def test_every_store_has_a_page(checkout: Path) -> None:
    configured = {name for page in PAGES for text in configurations(page) for name in sections(text)}
    manifests = [tomllib.loads(path.read_text()) for path in (checkout / "plugins").glob("dcs_*/pyproject.toml")]
    stores = [set(manifest["project"]["entry-points"]["hacore.dcs"]) for manifest in manifests]  # one may have several sections
    assert [sorted(names) for names in stores if not names & configured] == []


def test_every_page_is_on_the_page_that_compares_them(checkout: Path) -> None:
    choosing = (checkout / "docs" / "choosing-a-store.md").read_text()
    assert [page.name for page in PAGES if f"stores/{page.name}" not in choosing] == []
