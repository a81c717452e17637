# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for plugins of any kind: found, built, asked and closed as the core does it. The kits of the kinds begin with it.

class TestNoticeboard(ListenerConformance):
@pytest.fixture
def subject(self, tmp_path: Path) -> PluginUnderTest:
return PluginUnderTest(kind="listener", name="noticeboard", section={"path": str(tmp_path / "role")})
"""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from hacore.hookspecs import PluginContext, Validate
from hacore.model.clock import BootClock
from hacore.plugins.finding import find
from hacore.plugins.registry import Plugin, Registry, Wanted
from hacore.plugins.reports import Reports, validate
from hacore.plugins.schemas import schema_of

CONTEXT = PluginContext(scope="kit", namespace="/hacore-kit", member="a", clock=BootClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginUnderTest:
    """A plugin that is installed, and a section that is right for it."""

    kind: str
    name: str
    section: Mapping[str, object] = field(default_factory=dict)
    settings: object = None  # what it is built with, where the core makes that and no schema does

    def load(self) -> object:
        """Return what the plugin is built with."""
        schema = schema_of(find(self.kind, self.name))
        return self.settings if schema is None else schema().load(dict(self.section))


@contextmanager
def built(subject: PluginUnderTest) -> Iterator[Plugin]:
    """Build the plugin as an agent does, for the time of a block, in which it raises nothing that it may not raise."""
    registry = Registry()
    registry.update([Wanted(kind=subject.kind, name=subject.name, settings=subject.load())])
    (plugin,) = registry.every()
    try:
        yield plugin
    finally:
        registry.close()
    assert plugin.calls.counts.faults == 0


class PluginConformance:
    """What the core rests on with a plugin of any kind."""

    @pytest.fixture
    def plugin(self, subject: PluginUnderTest) -> Iterator[Plugin]:
        """Return the plugin, which answers in time, whatever a test does with it."""
        with built(subject) as plugin:
            yield plugin
        assert plugin.calls.counts.late == 0

    def test_its_settings_compare_by_their_content_and_can_be_sent_to_another_process(self, subject: PluginUnderTest) -> None:
        assert subject.load() == subject.load()
        assert pickle.loads(pickle.dumps(subject.load())) == subject.load()  # noqa: S301 - our own bytes

    def test_it_says_of_itself_what_every_plugin_may_be_asked(self, plugin: Plugin) -> None:
        reports = Reports(every_s=0)
        samples = reports.metrics([plugin])[plugin.name]
        assert len({(one.name, one.labels) for one in samples}) == len(samples)
        reports.status([plugin])

    def test_it_finds_nothing_wrong_with_settings_that_are_right(self, plugin: Plugin) -> None:
        assert validate([plugin], Validate(context=CONTEXT)) == {}
