import re
from dataclasses import replace
from pathlib import Path

from hacore.api import metrics, status
from hacore.api.app import _operations
from hacore.control.answers import COMMANDS
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.publish.picture import Figures
from hacore.publish.words import STATES
from tests.unit.api.samples import NOW, PRIMARY, seen

ROUTER = ("proxy", "proxy", None, NOW, "a", True)
ARCHIVE = ArchiveState(name="walg", identity=ArchiveIdentity.OWN, ready_files=1, pushed=1, failed=1, last_segment="x")
PAGES = Path(__file__).parents[3] / "docs" / "reference"


def in_code(page: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", (PAGES / page).read_text()))


def test_every_metric_has_its_line_and_every_line_its_metric() -> None:
    figures = Figures(turn_s=0.1, dcs_latency_s=0.1, rules=(("a", "b", 1),), plugin_calls=(("a", "b", "ok", 1),), routers=(ROUTER,))
    backups = tuple((name, 1.0) for name in metrics._BACKUPS)
    picture = replace(PRIMARY, figures=figures, archive=ARCHIVE, backups=backups)
    text = metrics.render(seen(picture), status.of_picture(picture), NOW).decode()
    rendered = set(re.findall(r"^# HELP (\S+)", text, flags=re.MULTILINE))
    documented = {name for name in in_code("metrics.md") if re.fullmatch(r"(patroni|hacore)_[a-z_]+", name)}
    assert rendered == documented


def test_the_states_are_numbered_as_documented() -> None:
    text = " ".join((PAGES / "metrics.md").read_text().split())
    assert [state for number, state in enumerate(STATES) if f"{number} {state}" not in text] == []


def test_every_path_and_every_command_of_the_socket_is_documented() -> None:
    words = in_code("rest.md")
    paths = {f"{method} /{name}" for name, table in _operations(lambda: None).items() for method in table}
    assert paths - words == set()
    assert COMMANDS.keys() - words == set()
