"""Plugins for tests, built without entry points, and the values that their hooks get."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from hacore.hookspecs import PluginContext, ReplicaRequest
from hacore.interfaces import Finished, Source
from hacore.model.clock import BootClock
from hacore.model.events import Event, EventKind
from hacore.plugins.calling import Calls
from hacore.plugins.finding import Declared, Found
from hacore.plugins.registry import Plugin

CONTEXT = PluginContext(scope="c", namespace="/service", member="a", clock=BootClock())


def plugin(instance: object, name: str = "p", kind: str = "listener") -> Plugin:
    declared = Declared(kind=kind, name=name, target="m:C", distribution="d", version="1")
    found = Found(name=name, plugin=type(instance), kinds=(kind,), declared=declared)
    return Plugin(found, None, {}, Calls(name, instance))


def event(number: int = 1, kind: EventKind = EventKind.STARTED, role: str = "primary") -> Event:
    return Event(id=number, at=datetime(2025, 1, 2, tzinfo=UTC), kind=kind, scope="c", member="a", role=role)


def replica_request(**changes: object) -> ReplicaRequest:
    fields: dict[str, object] = {
        "context": CONTEXT,
        "method": "",
        "data_dir": "/nowhere",
        "source": Source(member="b", conninfo="host=b port=5432 user=replicator", passfile="/nowhere/pass"),
        **changes,
    }
    return ReplicaRequest(**fields)  # type: ignore[arg-type]


class NoJob:
    """A job whose programs are functions."""

    def __init__(self, run: Callable[[list[str], dict[str, str]], Finished] | None = None) -> None:
        self.said: list[str] = []
        self.waited: list[float] = []
        self._run = run

    def run(
        self, argv: object, *, environment: object, on_line: Callable[[str], None] | None = None, cwd: str | None = None
    ) -> Finished:  # fmt: skip
        assert cwd is None
        if self._run is None:
            return Finished(exit_code=0)
        finished = self._run(list(argv), dict(environment))  # type: ignore[call-overload]
        for line in finished.output.splitlines():
            if on_line is not None:
                on_line(line)
        return finished

    def progress(self, text: str) -> None:
        self.said.append(text)

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not become true"
        time.sleep(0.01)
