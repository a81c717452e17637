"""What plugins say of themselves, and what is known of them when they do not."""

from collections.abc import Mapping, Sequence

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Validate, hookimpl
from hacore.interfaces import Metric
from hacore.plugins.reports import Reports, validate
from tests.unit.plugins.making import CONTEXT, plugin


class Talker:
    def __init__(self) -> None:
        self.asked = 0
        self.raises = False

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        self.asked += 1
        if self.raises:
            raise KeyError("x")
        return [Metric(name="asked", help="How often.", value=self.asked)]

    @hookimpl
    def hacore_status(self) -> Mapping[str, object]:
        return {"asked": self.asked, "what": ["a", "list"]}

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str] | None:
        if request.online:
            raise PluginUnavailableError("server down")
        return ["port: 0, want 1 to 65535"] if self.raises else None


def test_a_plugin_is_not_asked_more_often_than_said_and_its_last_answer_stands() -> None:
    talker, reports = Talker(), Reports(every_s=1000)
    made = plugin(talker)
    reports.metrics([made])
    assert [metric.value for metric in reports.metrics([made])["p"] if metric.name == "asked"] == [1]
    assert talker.asked == 1


def test_a_plugin_that_fails_keeps_its_last_answer() -> None:
    talker, reports = Talker(), Reports(every_s=0)
    made = plugin(talker)
    reports.metrics([made])
    talker.raises = True
    assert [metric.value for metric in reports.metrics([made])["p"]] == [1]


def test_status_is_plain_values() -> None:
    assert Reports().status([plugin(Talker())]) == {"p": {"asked": 0, "what": "['a', 'list']"}}


def test_validation_collects_what_every_plugin_has_to_say() -> None:
    good, bad = Talker(), Talker()
    bad.raises = True
    plugins = [plugin(good, "good"), plugin(bad, "bad")]
    assert validate(plugins, Validate(context=CONTEXT)) == {"bad": ("port: 0, want 1 to 65535",)}
    assert validate(plugins, Validate(context=CONTEXT, online=True)) == {"good": ("server down",), "bad": ("server down",)}
