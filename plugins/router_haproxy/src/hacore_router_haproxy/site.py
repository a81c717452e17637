"""HAProxy's configuration in step with the members: written, checked before it replaces the good one, loaded without a lost connection.

The states of all servers are kept over the reload in a file that exists no longer than that: a HAProxy that is started anew must not find
who led days ago. What a text says is :mod:`hacore_router_haproxy.rendering`'s affair.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hacore.errors import ConfigError, PluginUnavailableError
from hacore.http.resolver import Resolver
from hacore.interfaces import RoutingState
from hacore.model.clock import BootClock, Clock, Instant
from hacore_router_haproxy import plan, rendering, wire
from hacore_router_haproxy.proxy import Process, Proxy
from hacore_router_haproxy.settings import HaproxySettings, Site
from hacore_router_haproxy.wire import Shown

_CHECK_S: Final = 4.0
_COMMAND_S: Final = 4.0
_AGAIN_S: Final = 10.0  # after a reload that did not help, then twice as long; one that could not be asked for: with the next state
_LONGEST_AGAIN_S: Final = 3600.0
_LOOK_UP_S: Final = 0.5  # of all names; what comes later is known the next time
_DESCRIPTION: Final = re.compile(r"^ +description (\S+)$", flags=re.MULTILINE)
_ALERT: Final = re.compile(r"^\[ALERT\] +\(\d+\) : (?:config : )?(.*)$", flags=re.MULTILINE)
_PAUSE_S: Final = 0.05
_MOST_TEXT: Final = 600  # of what a program said
_MODE: Final = 0o644
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What the HAProxy that runs has."""

    process: Process
    lacking: tuple[str, ...]
    astray: frozenset[tuple[str, str]]  # backend and name of each server that has another address than the text says, or none yet

    def lacks(self, text: str) -> str:
        """Say what it has not loaded of a text; empty where nothing can be seen."""
        if self.lacking:
            return f"no {', '.join(self.lacking)}"
        described = _DESCRIPTION.search(text)
        return "it runs with another text" if described is not None and described[1] != self.process.description else ""

    def differs_from(self, text: str) -> str:
        """Say how it differs from a text; empty where no difference can be seen."""
        servers = ", ".join(f"{backend}/{name}" for backend, name in sorted(self.astray))
        return self.lacks(text) or (f"another address than the text says: {servers}" if servers else "")


class Keeper:
    """Keeps one configuration and the HAProxy that runs with it in step with the members."""

    def __init__(self, settings: HaproxySettings, site: Site, proxy: Proxy) -> None:
        self.reloads = 0
        self.refusals = 0
        self._settings = settings
        self._site = site
        self._proxy = proxy
        self._reloaded_at: Instant = 0.0
        self._again_s = 0.0  # from then until it may be done again; it has not helped
        self._resolver = Resolver(BootClock())

    def keep(self, scope: str, state: RoutingState, *, clock: Clock, until: Instant) -> str | None:
        """Bring the configuration up to date; return why it is not.

        A planned switchover that keeps connections waiting is let pass first: those that wait in a worker that is replaced hear no more.
        """
        if plan.is_held(state, clock.now()):
            return None
        try:
            Path(self._site.server_state_file).unlink(missing_ok=True)  # an agent that was killed in a reload left it
            is_new = self._write(scope, state, clock, until)
            return self._load(state, is_new=is_new, clock=clock, until=until)
        except ConfigError as error:
            return str(error)
        except OSError as error:
            return f"{error.filename or self._site.path}: {error.strerror or error}"

    def faults(self, scope: str, state: RoutingState) -> tuple[str, ...]:
        """Return what a person must mend before there can be a configuration, without changing one."""
        places = {Path(name).parent for name in (self._site.path, self._site.server_state_file, self._site.hold_script)}
        closed = [place for place in sorted(places) if not os.access(place, os.W_OK | os.X_OK)]
        if closed:
            return tuple(f"{place}: no directory in which we may write" for place in closed)
        try:
            with TemporaryDirectory(prefix=".hacore-", dir=Path(self._site.path).parent) as scratch:
                Path(scratch).chmod(0o755)  # the command that checks may run as somebody else
                script, text = Path(scratch, rendering.HOLD_SCRIPT), Path(scratch, "haproxy.cfg")
                _replace(script, rendering.packaged(rendering.HOLD_SCRIPT))
                site = replace(self._site, hold_script=str(script))
                _replace(text, rendering.render(scope, self._settings, site, rendering.members_of(state)))
                self._check(text, _CHECK_S)
        except ConfigError as error:
            return (str(error),)
        return ()

    def _write(self, scope: str, state: RoutingState, clock: Clock, until: Instant) -> bool:
        """Write the text where it is another than the one that is there.

        :raises ConfigError: HAProxy refuses it; the one that is there stays.
        """
        path = Path(self._site.path)
        there = _text(path)
        text = rendering.render(scope, self._settings, self._site, rendering.wanted_members(state, there))
        if text == there:
            text = ""
        if self._settings.hold:
            _replace(Path(self._site.hold_script), rendering.packaged(rendering.HOLD_SCRIPT))
        if not text:
            return False
        new = path.with_name(f"{path.name}.hacore-new")
        _replace(new, text, mode=path.stat().st_mode & 0o777 if path.exists() else _MODE)
        try:
            self._check(new, until - clock.now())
        except ConfigError:
            new.unlink()
            self.refusals += 1
            raise
        new.replace(path)
        return True

    def _check(self, new: Path, limit_s: float) -> None:
        """Let HAProxy judge a text.

        :raises ConfigError: it refuses it.
        """
        command = [word.replace("{file}", str(new)) for word in self._site.check_command]
        problem = _run(command, min(_CHECK_S, limit_s))
        if problem is not None:
            raise ConfigError(f"{self._site.path}: refused: {problem.replace(str(new), self._site.path)}")

    def _load(self, state: RoutingState, *, is_new: bool, clock: Clock, until: Instant) -> str | None:
        """Reload where HAProxy runs with another text than the one that is there."""
        before = self._running(state, clock, until)
        stale = None if before is None else before.differs_from(_text(Path(self._site.path)))
        if is_new or not stale:
            self._again_s = 0.0
        if not is_new and not stale:
            return None
        if clock.now() - self._reloaded_at < self._again_s:
            return f"the last reload did not help: {stale}"
        state_file = Path(self._site.server_state_file)
        if before is not None:
            _replace(state_file, wire.states_without(self._proxy.states(clock=clock, until=until), before.astray))
        try:
            problem = self._reload(clock, until)
            if problem is not None:
                return problem
            self.reloads, self._reloaded_at = self.reloads + 1, clock.now()
            problem = self._wait(lambda: self._is_loaded(before, state, clock, until), clock, until)
            after = self._running(state, clock, until) if problem is None else None
            problem = after.differs_from(_text(Path(self._site.path))) or None if after is not None else problem
            self._again_s = 0.0 if problem is None else min(max(_AGAIN_S, 2 * self._again_s), _LONGEST_AGAIN_S)
            return problem
        finally:
            state_file.unlink(missing_ok=True)

    def _is_loaded(self, before: "Running | None", state: RoutingState, clock: Clock, until: Instant) -> bool:
        """Tell whether another process answers than before, and runs with the text that is there."""
        now = self._running(state, clock, until)
        if now is None or now.lacks(_text(Path(self._site.path))) or (before is not None and now.process.pid == before.process.pid):
            return False
        return self._proxy.master is None or self._proxy.master.is_there(clock=clock, until=until)

    def _running(self, state: RoutingState, clock: Clock, until: Instant) -> "Running | None":
        """Return what the HAProxy that runs has; ``None``: none does."""
        limit = min(until, clock.now() + self._settings.timeout_s)
        try:
            process = self._proxy.process(clock=clock, until=limit)
            shown = self._proxy.look(clock=clock, until=limit).backends
        except PluginUnavailableError:
            return None
        no_backends = tuple(f"backend {name}" for name in plan.backends_of(self._settings) if name not in shown)
        no_servers = {f"server {name}" for one in shown.values() for name in plan.missing(one, rendering.known(state))}
        return Running(process=process, lacking=(*no_backends, *sorted(no_servers)), astray=self._astray(shown))

    def _astray(self, shown: dict[str, Shown]) -> frozenset[tuple[str, str]]:
        """Return the servers that lead elsewhere than the text. A name that nobody knows now is no reason to doubt what was known."""
        until, found = BootClock().now() + _LOOK_UP_S, set()
        for (backend, name), (host, port) in rendering.addresses(_text(Path(self._site.path))).items():
            server = shown[backend].servers.get(name) if backend in shown else None
            if server is None or not (server.address or server.is_unresolved):
                continue
            with suppress(OSError):
                places = {(ip_address(place[0]), place[1]) for _, place in self._resolver.addresses(host, port, until=until)}
                if wire.ip_and_port(server.address) not in places:
                    found.add((backend, name))
        return frozenset(found)

    def _reload(self, clock: Clock, until: Instant) -> str | None:
        if self._proxy.master is None:
            return _run(list(self._site.reload_command), min(_COMMAND_S, until - clock.now()))
        try:
            return self._proxy.master.reload(clock=clock, until=until)
        except PluginUnavailableError as error:
            return str(error)

    def _wait(self, is_there: Callable[[], bool], clock: Clock, until: Instant) -> str | None:
        while clock.now() < until - _PAUSE_S:
            if is_there():
                return None
            time.sleep(_PAUSE_S)
        return "HAProxy does not run with the new configuration yet"


def _text(path: Path) -> str:
    """Return a file's text, empty where there is none. One that is damaged differs from what is wanted, and is replaced."""
    return path.read_text(errors="replace") if path.exists() else ""


def _replace(path: Path, text: str, *, mode: int = _MODE) -> None:
    """Put a text in a file's place, all at once; one that is right already is left alone."""
    if _text(path) == text:
        return
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.write_text(text)
        new.chmod(mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _run(command: list[str], limit_s: float) -> str | None:
    """Run a program; return what was wrong with it, ``None`` when nothing was."""
    try:
        done = subprocess.run(
            command,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=max(limit_s, 0.1),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} does not end"
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode == 0:
        return None
    alerts = "; ".join(_ALERT.findall(done.stderr))
    return f"{command[0]} ends with {done.returncode}: {(alerts or done.stderr or done.stdout).strip()[:_MOST_TEXT]}"
