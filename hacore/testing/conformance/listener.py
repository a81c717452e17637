# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for listeners: every event taken, every gate answered in its time."""

from datetime import UTC, datetime

from hacore.hookspecs import AfterBootstrap, BeforeDemote, BeforePromote, BeforeStop, BeforeSwitchover
from hacore.interfaces import Veto
from hacore.model.events import Event, EventKind
from hacore.plugins.events import LIMIT_S
from hacore.plugins.listeners import Listeners
from hacore.plugins.registry import Plugin
from hacore.testing.conformance.plugin import CONTEXT, PluginConformance

ROLES = ("primary", "replica", "demoted", "uninitialized")


def event(number: int, kind: EventKind, role: str) -> Event:
    """Return an event with the data that its kind may carry."""
    data = (("previous", "b"), ("leader", "a"), ("total_ms", 67), ("job", "start"), ("error", "it said nothing"))
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Event(id=number, at=at, kind=kind, scope="kit", member="a", role=role, token=7, timeline=2, data=data)


class ListenerConformance(PluginConformance):
    """Everything that the core rests on with a listener."""

    def test_it_takes_every_kind_of_event_in_every_role(self, plugin: Plugin) -> None:
        listeners = Listeners([plugin])
        for number, (kind, role) in enumerate((kind, role) for kind in EventKind for role in ROLES):
            listeners.tell(event(number, kind, role))
        assert listeners.close(LIMIT_S)

    def test_it_takes_an_event_again_and_late(self, plugin: Plugin) -> None:
        listeners = Listeners([plugin])
        for number in (5, 5, 1):
            listeners.tell(event(number, EventKind.STARTED, "primary"))
        assert listeners.close(LIMIT_S)

    def test_its_gates_answer_in_their_time(self, plugin: Plugin) -> None:
        listeners = Listeners([plugin])
        listeners.before_stop(BeforeStop(context=CONTEXT, reason="kit", mode="fast", role="primary"))
        answers = (
            listeners.before_switchover(BeforeSwitchover(context=CONTEXT, token=7, leader="a", candidate=None, members=())),
            listeners.before_demote(BeforeDemote(context=CONTEXT, token=7, candidate="b")),
            listeners.before_promote(BeforePromote(context=CONTEXT, token=8, timeline=3)),
            listeners.after_bootstrap(AfterBootstrap(context=CONTEXT, conninfo="host=/nowhere", passfile=None)),
        )
        assert all(answer is None or isinstance(answer, Veto) for answer in answers)
        assert listeners.close(LIMIT_S)
