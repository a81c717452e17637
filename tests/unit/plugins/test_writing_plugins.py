"""The plugin of docs/writing-plugins.md works as it stands there."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from hacore.hookspecs import BeforePromote
from hacore.interfaces import Veto
from hacore.model.events import EventKind
from hacore.plugins.finding import find
from hacore.plugins.listeners import Listeners
from hacore.plugins.registry import Registry, Wanted
from hacore.plugins.reports import Reports
from hacore.plugins.schemas import InstalledSchemas
from hacore.testing.conformance.listener import ListenerConformance
from hacore.testing.conformance.plugin import PluginUnderTest
from tests.unit.plugins.making import CONTEXT, event

PAGE = Path(__file__).parents[3] / "docs" / "writing-plugins.md"


def fenced(language: str) -> str:
    """The first block of code in a language."""
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert match is not None
    return match[1]


@pytest.fixture
def noticeboard(install: Callable[..., Path], tmp_path: Path) -> object:
    points = tomllib.loads(fenced("toml"))["project"]["entry-points"]
    install("hacore_listener_noticeboard", fenced("python"), **{group.removeprefix("hacore."): found for group, found in points.items()})
    schema = InstalledSchemas().schema("noticeboard")
    assert schema is not None
    return schema().load({"path": str(tmp_path / "role"), "hold_file": str(tmp_path / "hold")})


def test_the_plugin_of_the_page_does_what_the_page_says(noticeboard: object, tmp_path: Path) -> None:
    assert find("listener", "noticeboard").kinds == ("listener",)
    registry = Registry()
    registry.update([Wanted(kind="listener", name="noticeboard", settings=noticeboard)])
    listeners = Listeners(registry.of_kind("listener"))
    promote = BeforePromote(context=CONTEXT, token=7, timeline=2)
    assert listeners.before_promote(promote) is None
    (tmp_path / "hold").touch()
    assert isinstance(listeners.before_promote(promote), Veto)
    listeners.tell(event(1, EventKind.STARTED, role="replica"))
    listeners.tell(event(2, EventKind.ROLE_CHANGED, role="primary"))
    listeners.close(10)
    assert (tmp_path / "role").read_text() == "primary\n"
    metrics = Reports().metrics(registry.every())["noticeboard"]
    assert {metric.name: metric.value for metric in metrics}["noticeboard_written"] == 2
    registry.close()


class TestNoticeboard(ListenerConformance):
    @pytest.fixture
    def subject(self, noticeboard: object, tmp_path: Path) -> PluginUnderTest:
        assert noticeboard
        return PluginUnderTest(kind="listener", name="noticeboard", section={"path": str(tmp_path / "role")})
