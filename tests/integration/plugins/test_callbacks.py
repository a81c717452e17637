"""The field's scripts, as real processes."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hacore.builtin.callbacks import CallbacksPlugin
from hacore.errors import JobCancelledError
from hacore.hookspecs import BeforePromote, BeforeStop
from hacore.interfaces import Veto
from hacore.model.events import EventKind
from hacore.model.policy import Policy, Times
from hacore.plugins.listeners import Listeners
from tests.unit.plugins.making import CONTEXT, event, plugin, wait_until

NAMES = ("on_start", "on_stop", "on_restart", "on_reload", "on_role_change")
KINDS = {
    "on_start": EventKind.STARTED,
    "on_stop": EventKind.STOPPED,
    "on_restart": EventKind.RESTARTED,
    "on_reload": EventKind.RELOADED,
    "on_role_change": EventKind.ROLE_CHANGED,
}
# Says what it was called with, then stays, with a child, while the file "hold" is there; says at its end that it has ended.
SCRIPT = """#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> called
if [ -e "hold-$2" ]; then
    sleep 600 &
    echo $! >> children
    echo $$ >> pids
    while [ -e "hold-$2" ]; do sleep 0.02; done
    kill $!
fi
echo "$2 $3" >> ended
"""


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.script = directory / "script.sh"
        self.script.write_text(SCRIPT)
        self.script.chmod(0o755)
        self.plugin = CallbacksPlugin(dict.fromkeys(NAMES, f"{self.script} word"))

    def tell(self, action: str, role: str = "primary") -> None:
        self.plugin.hacore_event(event(kind=KINDS[action], role=role))

    def hold(self, action: str) -> Path:
        path = self.directory / f"hold-{action}"
        path.touch()
        return path

    def lines(self, name: str) -> list[str]:
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.plugin.hacore_close()
    for pid in [*made.lines("pids"), *made.lines("children")]:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def gone(pid: str) -> bool:
    return not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("action", NAMES)
def test_a_script_gets_action_role_and_scope_after_its_own_words(site: Site, action: str) -> None:
    site.tell(action, "replica")
    wait_until(lambda: site.lines("ended"))
    assert site.lines("called") == [f"word {action} replica c"]


def test_an_event_without_a_script_starts_none(tmp_path: Path) -> None:
    made = CallbacksPlugin({"on_stop": str(tmp_path / "missing")})
    made.hacore_event(event(kind=EventKind.STARTED))
    made.hacore_event(event(kind=EventKind.LEADER_CHANGED))
    made.hacore_event(event(kind=EventKind.STOPPED))  # it cannot be started: said, and nothing follows
    made.hacore_close()


def test_the_newest_script_kills_a_running_older_one_with_its_children(site: Site) -> None:
    site.hold("on_start")
    site.tell("on_start")
    wait_until(lambda: site.lines("pids"))
    site.tell("on_stop")
    wait_until(lambda: site.lines("ended"))
    assert site.lines("ended") == ["on_stop primary"]
    assert all(gone(pid) for pid in [*site.lines("pids"), *site.lines("children")])


def test_on_reload_kills_none_but_its_own_kind(site: Site) -> None:
    site.hold("on_reload")
    hold = site.hold("on_start")
    site.tell("on_start")
    wait_until(lambda: len(site.lines("pids")) == 1)
    site.tell("on_reload")
    wait_until(lambda: len(site.lines("pids")) == 2)
    started, reloading = site.lines("pids")
    site.tell("on_reload")
    wait_until(lambda: len(site.lines("pids")) == 3)
    assert gone(reloading)
    assert not gone(started)
    hold.unlink()
    wait_until(lambda: site.lines("ended"))
    assert site.lines("ended") == ["on_start primary"]


def test_a_change_of_role_that_was_killed_is_told_again(site: Site) -> None:
    hold = site.hold("on_role_change")
    site.tell("on_role_change")
    wait_until(lambda: site.lines("pids"))
    hold.unlink()
    os.kill(int(site.lines("pids")[0]), signal.SIGSTOP)  # it has not seen that it may end
    site.tell("on_restart")
    wait_until(lambda: len(site.lines("ended")) == 2)
    assert site.lines("called") == ["word on_role_change primary c", "word on_restart primary c", "word on_role_change primary c"]
    assert site.lines("ended") == ["on_restart primary", "on_role_change primary"]


def test_a_newer_change_of_role_settles_the_older_one(site: Site) -> None:
    hold = site.hold("on_role_change")
    site.tell("on_role_change", "primary")
    wait_until(lambda: site.lines("pids"))
    site.tell("on_role_change", "replica")
    wait_until(lambda: len(site.lines("pids")) == 2)
    hold.unlink()
    wait_until(lambda: site.lines("ended"))
    assert site.lines("ended") == ["on_role_change replica"]
    assert len(site.lines("called")) == 2


def gates(tmp_path: Path, **scripts: str) -> Listeners:
    commands = {}
    for name, text in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        commands[name] = str(path)
    return Listeners([plugin(CallbacksPlugin(commands), "callbacks")])


PROMOTE = BeforePromote(context=CONTEXT, token=7, timeline=2)


def test_pre_promote_vetoes_by_its_exit_code(tmp_path: Path) -> None:
    assert gates(tmp_path, pre_promote="exit 3").before_promote(PROMOTE) == Veto(reason="callbacks: pre_promote ended with 3")
    assert gates(tmp_path, pre_promote="exit 0").before_promote(PROMOTE) is None
    assert gates(tmp_path).before_promote(PROMOTE) is None


def test_a_pre_promote_that_cannot_be_run_is_a_veto() -> None:
    listeners = Listeners([plugin(CallbacksPlugin({"pre_promote": "/no/such/script"}), "callbacks")])
    assert isinstance(listeners.before_promote(PROMOTE), Veto)


def test_a_pre_promote_that_hangs_ends_with_the_promotion(tmp_path: Path) -> None:
    listeners = gates(tmp_path, pre_promote=f"echo $$ > {tmp_path}/pid; exec sleep 600")
    cancelled = threading.Event()

    def cancel() -> None:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        cancelled.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(JobCancelledError):
        listeners.before_promote(PROMOTE, cancelled.is_set)
    canceller.join()
    wait_until(lambda: gone((tmp_path / "pid").read_text()))


def test_scripts_that_hang_hold_nothing_up_for_good(tmp_path: Path) -> None:
    context = replace(CONTEXT, policy=Policy(times=replace(Times(), ttl_s=2.0), primary_start_timeout_s=0.0))
    veto = gates(tmp_path, pre_promote=f"echo $$ > {tmp_path}/promotes; exec sleep 600").before_promote(replace(PROMOTE, context=context))
    assert veto is not None
    assert "no answer within 2 s" in veto.reason
    wait_until(lambda: gone((tmp_path / "promotes").read_text()))
    stop = BeforeStop(context=context, reason="x", mode="fast", role="primary")
    gates(tmp_path, before_stop=f"echo $$ > {tmp_path}/stops; exec sleep 600").before_stop(stop)
    wait_until(lambda: gone((tmp_path / "stops").read_text()))


def test_before_stop_is_waited_for_and_its_exit_code_ignored(tmp_path: Path) -> None:
    listeners = gates(tmp_path, before_stop=f"sleep 0.1; touch {tmp_path}/done; exit 1")
    listeners.before_stop(BeforeStop(context=CONTEXT, reason="x", mode="fast", role="primary"))
    assert (tmp_path / "done").exists()
