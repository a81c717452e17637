"""A router of somebody else: installed for a test, it writes down what it is told and behaves as a file says.

What it drives is a file: while it is there, new work waits.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hacore.testing.cluster import ClusterNode
from hacore.testing.workdir import owner_of

NAME: Final = "recorder"
_MODULE: Final = "hacore_test_recorder"
_CODE: Final = '''
import json
import os
import time
from pathlib import Path

from marshmallow import fields

from hacore.hookspecs import RouterPlugin, hookimpl
from hacore.interfaces import Applied, Degraded, Held, Layer, Observed, RouterTraits
from hacore.schema import SectionSchema


class Schema(SectionSchema):
    directory = fields.String(required=True)


class Recorder(RouterPlugin):
    """Writes down what it is told."""

    def __init__(self, settings):
        self.directory = Path(settings["directory"])

    @staticmethod
    def hacore_config_schema():
        return Schema

    @staticmethod
    @hookimpl
    def hacore_router_traits():
        return RouterTraits(layer=Layer.POOLER, drains=True)

    @hookimpl
    def hacore_route(self, request):
        state = request.state
        self._note(request, "route", token=state.token, revision=state.revision, leads=state.leads,
                   leader=state.leader and state.leader.member, hold=state.hold and state.hold.switchover_id,
                   valid_until=state.valid_until)
        odd = self._behave("route")
        if state.hold is None:
            self._held(request).unlink(missing_ok=True)
        return odd or Applied()

    @hookimpl
    def hacore_drain(self, request, job):
        self._held(request).touch()
        self._note(request, "drain", token=request.token, id=request.switchover_id, candidate=request.candidate)
        odd = self._behave("drain")
        self._note(request, "drained")
        return odd or Held()

    @hookimpl
    def hacore_revoke(self, request):
        self._note(request, "revoke", token=request.token)
        return self._behave("revoke") or Applied()

    @hookimpl
    def hacore_route_probe(self, request):
        return self._behave("probe") or Observed(target=None)

    def _held(self, request):
        return self.directory / f"{request.context.member}.held"

    def _behave(self, hook):
        way = self._way(hook)
        while way == "hang":
            time.sleep(0.02)
            way = self._way(hook)
        if way == "raise":
            raise ZeroDivisionError(hook)
        if way == "flood":
            return Observed(target="x" * 2_000_000) if hook == "probe" else Degraded(reason="x" * 2_000_000)
        return 5 if way == "garbage" else None

    def _way(self, hook):
        try:
            return json.loads((self.directory / "ways").read_text()).get(hook)
        except (OSError, ValueError):
            return None

    def _note(self, request, hook, **facts):
        line = {"at": time.clock_gettime(time.CLOCK_BOOTTIME), "hook": hook, "pid": os.getpid(), **facts}
        with (self.directory / f"{request.context.member}.told").open("a") as told:
            told.write(json.dumps(line) + "\\n")
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call of the router of one node."""

    at: float  # seconds of the boot-time clock
    hook: str
    pid: int  # of the agent
    facts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]


class Recorders:
    """The routers of all nodes, seen from outside."""

    def __init__(self, directory: Path) -> None:
        self.site = directory / "site"
        self.outside = directory / "outside"
        info = self.site / f"{_MODULE}-1.0.dist-info"
        for place in (self.site, self.outside, info):
            place.mkdir()
        (self.site / f"{_MODULE}.py").write_text(_CODE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hacore-test-recorder\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hacore.router]\n{NAME} = {_MODULE}:Recorder\n")
        owner = owner_of(directory)
        if owner is not None:
            os.chown(self.outside, *owner)

    @property
    def settings(self) -> dict[str, Any]:
        """What stands in a node's configuration."""
        return {"routers": [NAME], "plugins": {NAME: {"directory": str(self.outside)}}}

    def install(self, node: ClusterNode) -> None:
        """Let the processes of a node find it."""
        node.environment = {"PYTHONPATH": str(self.site)}

    def behave(self, **ways: str) -> None:
        """Let hooks hang (until told otherwise), raise, answer garbage, or more text than anybody can show."""
        new = self.outside / "ways.new"
        new.write_text(json.dumps(ways))
        new.chmod(0o644)
        new.replace(self.outside / "ways")

    def told(self, node: ClusterNode, hook: str | None = None, *, since: float = 0.0) -> list[Told]:
        """What the router of a node was told, in order."""
        path = self.outside / f"{node.name}.told"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [
            Told(at=one.pop("at"), hook=one.pop("hook"), pid=one.pop("pid"), facts=one)
            for one in map(json.loads, lines)  # every line is written whole
        ]
        return [one for one in found if one.at >= since and hook in (None, one.hook)]

    def first(self, node: ClusterNode, hook: str, wanted: Callable[[Told], object], *, since: float = 0.0) -> Told | None:
        """The first call that is wanted."""
        return next((one for one in self.told(node, hook, since=since) if wanted(one)), None)

    def holds(self, node: ClusterNode) -> bool:
        """Whether new work waits at a node."""
        return (self.outside / f"{node.name}.held").exists()
