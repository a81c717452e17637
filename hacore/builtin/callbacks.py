"""The field's scripts: callbacks that are told what has happened, and the gates ``pre_promote`` and ``before_stop`` (8.4, 8.5).

They are called as the field calls them. One thing is better here: an ``on_role_change`` that was killed by a newer callback before it
ended is run once more, so that the last role is never lost.
"""

import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from hacore.builtin.slot import Slot
from hacore.errors import PluginUnavailableError
from hacore.hookspecs import BeforePromote, BeforeStop, ListenerPlugin, hookimpl
from hacore.interfaces import Gate, GatePolicy, Job, Veto
from hacore.model.events import Event, EventKind

logger = logging.getLogger(__name__)

_ROLE_CHANGE: Final = "on_role_change"
_RELOAD: Final = "on_reload"
_ACTIONS: Final[Mapping[EventKind, str]] = {
    EventKind.STARTED: "on_start",
    EventKind.STOPPED: "on_stop",
    EventKind.RESTARTED: "on_restart",
    EventKind.RELOADED: _RELOAD,
    EventKind.ROLE_CHANGED: _ROLE_CHANGE,
}


class CallbacksPlugin(ListenerPlugin):
    """Runs the scripts of postgresql.callbacks, pre_promote and before_stop.

    :param settings: the command line of each script by its name; the core takes them from the section ``postgresql``.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._commands = {name: tuple(shlex.split(command)) for name, command in settings.items()}
        self._slot = Slot("callback", owed=_ROLE_CHANGE)
        self._reload_slot = Slot("callback on_reload")

    @hookimpl
    def hacore_event(self, event: Event) -> None:
        """Start the script for an event; it is not waited for."""
        action = _ACTIONS.get(event.kind)
        if action is None or action not in self._commands:
            return
        slot = self._reload_slot if action == _RELOAD else self._slot
        slot.start(action, [*self._commands[action], action, event.role, event.scope])

    @hookimpl
    def hacore_gate_policies(self) -> Sequence[GatePolicy]:
        """Let the scripts take as long as a primary may take to come."""
        return (
            GatePolicy(gate=Gate.BEFORE_PROMOTE, limit_s=None, aborts=True),
            GatePolicy(gate=Gate.BEFORE_STOP, limit_s=None),
        )

    @hookimpl
    def hacore_before_promote(self, request: BeforePromote, job: Job) -> Veto | None:  # noqa: ARG002 - the script gets no argument
        """Run ``pre_promote``; an exit code other than 0, or none in time, is a veto."""
        exit_code = self._run("pre_promote", job)
        return Veto(reason=f"pre_promote ended with {exit_code}") if exit_code else None

    @hookimpl
    def hacore_before_stop(self, request: BeforeStop, job: Job) -> None:  # noqa: ARG002 - the script gets no argument
        """Run ``before_stop``; its exit code does not count."""
        self._run("before_stop", job)

    @hookimpl
    def hacore_close(self) -> None:
        """Leave running scripts to themselves: the last ``on_stop`` must come to its end."""
        self._slot.close()
        self._reload_slot.close()

    def _run(self, name: str, job: Job) -> int:
        command = self._commands.get(name)
        if command is None:
            return 0
        try:
            finished = job.run(command, environment=os.environ)
        except OSError as error:
            raise PluginUnavailableError(f"{command[0]}: cannot be started: {error}") from error
        if finished.exit_code:
            logger.warning("script failed", extra={"script": name, "exit_code": finished.exit_code, "output": finished.output})
        return finished.exit_code
