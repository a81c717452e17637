"""The agent's life: read the configuration, put the parts together, turn until told to end."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Final

from hacore.agent.assembly import Agent, assemble
from hacore.agent.session import StoreRefusedError
from hacore.agent.settings import PLUGIN_SCHEMAS, SettingsSource
from hacore.agent.uniqueness import namesake
from hacore.config.child import load_in_child
from hacore.control.answers import answerer
from hacore.control.context import Context
from hacore.control.server import ControlServer
from hacore.daemon import exit_codes
from hacore.daemon.heartbeat import Heartbeat
from hacore.errors import ConfigError, DcsUnavailableError, HacoreError, PluginError
from hacore.logs import setup
from hacore.model.clock import Instant
from hacore.model.commands import ReloadCommand, ShutdownCommand
from hacore.model.steps import Exit
from hacore.records.cluster import read_cluster

logger = logging.getLogger(__name__)

SOCKET_NAME: Final = "agent.sock"


def run(path: str | None, environ: Mapping[str, str]) -> int:
    """Run the agent of one node until it ends; return its exit code (``hacore.daemon.exit_codes``)."""
    try:
        loaded = load_in_child(path, environ, plugins=PLUGIN_SCHEMAS)  # the schema library would stay in memory here
    except (ConfigError, PluginError) as error:
        sys.stderr.write(f"{error}\n")
        return exit_codes.CONFIGURATION
    logs = setup(loaded.local.log)
    for fault in loaded.warnings:
        logger.warning("configuration", extra={"warning": str(fault)})
    try:
        settings = SettingsSource(loaded, path, environ)
        settings.on_reload(lambda local: logs.reload(local.log))
        agent = assemble(settings, environ)
    except (ConfigError, PluginError) as error:
        logger.critical("cannot start", extra={"error": str(error)})
        logs.close()
        return exit_codes.CONFIGURATION
    except HacoreError as error:
        logger.critical("cannot start", extra={"error": str(error)})
        logs.close()
        return exit_codes.FATAL
    try:
        return _live(agent, environ)
    finally:
        logs.close()


def _live(agent: Agent, environ: Mapping[str, str]) -> int:
    context = Context(
        loop=agent.site.desk, peers=agent.peers, clock=agent.site.clock, figures=agent.count.figures, backups=agent.backups.leader
    )
    control = ControlServer(agent.site.state_dir / SOCKET_NAME, answerer(context))
    _listen_to_signals(agent)
    agent.dcs.watch(agent.site.waiter.wake)
    control.start()
    agent.backups.start()
    agent.count.reporter.begin()
    try:
        end = _turn_until_exit(agent, Heartbeat.from_environment(environ))
    except StoreRefusedError as error:
        logger.critical("cannot start", extra={"error": str(error)})
        end = Exit(code=exit_codes.CONFIGURATION, reason=str(error), leave_server=True)
    finally:
        control.close()
    if not end.leave_server:
        _withdraw(agent)
    agent.close()
    return end.code


def _turn_until_exit(agent: Agent, heartbeat: Heartbeat | None) -> Exit:
    is_alone = False
    while True:
        if heartbeat is not None:
            heartbeat.beat()
        if not is_alone:
            is_alone, conflict = _look_for_namesake(agent)
            if conflict is not None:
                reason = f"another agent runs under the name {agent.site.settings.me().name!r} at {conflict}"
                logger.critical("cannot start", extra={"error": reason})
                return Exit(code=exit_codes.FATAL, reason=reason, leave_server=True)
        agent.site.desk.run_errands(agent.dcs)
        turn = agent.loop.turn(agent.site.desk.commands())
        agent.count.turn_s = turn.took_s
        agent.count.add(turn.world, turn.decision)
        agent.site.desk.turned(turn)
        agent.backups.turned()
        if turn.exit is not None:
            logger.log(logging.INFO if turn.exit.code == exit_codes.OK else logging.CRITICAL, "ends", extra={"reason": turn.exit.reason})
            return turn.exit
        if heartbeat is not None and is_alone:  # until then the store is being opened, which may take longer than a short ttl
            heartbeat.set_limit(turn.world.times.ttl_s)
        agent.site.waiter.watch(turn.world.node.pid)
        _wait(agent, turn.next_at, heartbeat)


def _wait(agent: Agent, until: Instant, heartbeat: Heartbeat | None) -> None:
    """Wait for the next turn; in ticks, so that the main process sees an agent that is alive."""
    while True:
        tick_at = until
        if heartbeat is not None:
            heartbeat.beat()
            tick_at = min(until, agent.site.clock.now() + heartbeat.tick_s)
        if agent.site.waiter.wait(tick_at) or agent.site.clock.now() >= until:
            return


def _look_for_namesake(agent: Agent) -> tuple[bool, str | None]:
    """Return whether the question is settled, and the URL of another agent of this name."""
    me = agent.site.settings.me()
    try:
        view = read_cluster(agent.dcs.snapshot(timeout_s=agent.site.settings.policy(None).times.retry_timeout_s))
    except DcsUnavailableError:
        return False, None  # the turn says so
    return True, namesake(me, view.member(me.name))


def _withdraw(agent: Agent) -> None:
    try:
        agent.dcs.withdraw(timeout_s=2.0)
    except (DcsUnavailableError, StoreRefusedError) as error:
        logger.info("member record was left to expire", extra={"error": str(error)})


def _listen_to_signals(agent: Agent) -> None:
    def end(_signum: int, _frame: FrameType | None) -> None:
        agent.site.desk.submit(ShutdownCommand(id="shutdown", received_at=agent.site.clock.now()))

    def reload(_signum: int, _frame: FrameType | None) -> None:
        agent.site.desk.submit(ReloadCommand(id=uuid.uuid4().hex, received_at=agent.site.clock.now()))

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, reload)


def main(arguments: list[str] | None = None) -> int:
    """Run as ``python -m hacore.daemon.agent [CONFIG]``."""
    words = sys.argv[1:] if arguments is None else arguments
    return run(str(Path(words[0])) if words else None, dict(os.environ))
