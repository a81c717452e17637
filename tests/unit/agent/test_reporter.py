"""Plugins are asked how they are beside the loop; the store is not."""

import json
import threading

import pytest

from hacore.agent.reporter import Reporter
from hacore.hookspecs import hookimpl
from hacore.interfaces import Metric
from hacore.plugins.registry import Plugin, Registry
from tests.unit.plugins.making import plugin, wait_until

LONG = 2_000_000


class Talker:
    def __init__(self) -> None:
        self.asked_on: set[int] = set()

    @hookimpl
    def hacore_metrics(self) -> list[Metric]:
        self.asked_on.add(threading.get_ident())
        labels = (("server", "a"),)
        return [
            Metric(name="sessions", help="Open.", value=3, labels=labels),
            Metric(name="not a name", help="", value=1),
            Metric(name="calls", help="", value=1),
            Metric(name="mine", help="", value=1, labels=(("scope", "x"),)),
        ]

    @hookimpl
    def hacore_status(self) -> dict[str, str]:
        return {"where": "x" * 1000}


class Flood:
    """Says more than anybody can show, in types that it may not use."""

    @hookimpl
    def hacore_metrics(self) -> list[Metric]:
        good = Metric(name="good", help="x" * LONG, value=1, labels=(("server", "y" * LONG),))
        odd: tuple[object, object, object] = ("no number", None, 10**400)
        return [*(Metric(name="odd", help="", value=value) for value in odd), Metric(name="n" * LONG, help="", value=1), good]  # type: ignore[arg-type]

    @hookimpl
    def hacore_status(self) -> dict[str, str]:
        return {f"{number}{'k' * 1000}": "x" * 1000 for number in range(1000)}


class Counter:
    """Says numbers that JSON does not carry."""

    @hookimpl
    def hacore_status(self) -> dict[str, object]:
        return {"bytes": 10**5000, "age": float("nan"), "rate": float("-inf"), "is": True, "count": 2**63 - 1, "ratio": 0.5, "none": None}


class Silent:
    pass


class OfKinds(Registry):
    def __init__(self, **kinds: Plugin) -> None:
        super().__init__()
        self._plugins = {one.name: one for one in kinds.values()}
        self._order = {kind: [one.name] for kind, one in kinds.items()}


def test_what_plugins_say_is_there_after_they_were_asked_and_the_store_is_not_asked() -> None:
    store, router = Talker(), Talker()
    reporter = Reporter(OfKinds(dcs=plugin(store, "s", "dcs"), router=plugin(router, "r", "router")), every_s=0.01)
    reporter.begin()
    wait_until(lambda: reporter.words != ())
    reporter.close()
    assert reporter.samples == (("r", "sessions", "Open.", (("server", "a"),), 3.0),)
    assert reporter.words == (("r", "where", f"{'x' * 497}..."),)
    assert store.asked_on == set()
    assert threading.get_ident() not in router.asked_on


def test_what_a_plugin_says_is_cut_and_what_nobody_could_read_is_left_out() -> None:
    reporter = Reporter(OfKinds(router=plugin(Flood(), "r", "router")), every_s=1000)
    reporter.begin()
    wait_until(lambda: reporter.words != ())
    reporter.close()
    assert [(name, len(said), [len(value) for _, value in labels]) for _, name, said, labels, _ in reporter.samples] == [
        ("good", 500, [500])
    ]
    assert {(len(key), len(str(value))) for _, key, value in reporter.words} == {(500, 500)}
    assert len(reporter.words) == 500


@pytest.mark.parametrize("kind", ["router", "dcs"])
def test_where_nobody_has_anything_to_say_there_is_no_thread(kind: str) -> None:
    before = threading.active_count()
    Reporter(OfKinds(**{kind: plugin(Silent(), "p", kind)})).begin()
    assert threading.active_count() == before


def test_numbers_that_json_does_not_carry_are_words() -> None:
    reporter = Reporter(OfKinds(router=plugin(Counter(), "r", "router")), every_s=1000)
    reporter.begin()
    wait_until(lambda: reporter.words != ())
    reporter.close()
    said = {name: value for _, name, value in reporter.words}
    assert said == {
        "bytes": "an integer of 16610 bits",
        "age": "nan",
        "rate": "-inf",
        "is": True,
        "count": 2**63 - 1,
        "ratio": 0.5,
        "none": None,
    }
    assert json.loads(json.dumps(said, allow_nan=False)) == said
