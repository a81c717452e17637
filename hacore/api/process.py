"""Puts the REST process together, and changes what can be changed while it runs."""

import logging
import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from hacore.api import tls
from hacore.api.access import Access
from hacore.api.app import application
from hacore.api.dispatch import Dispatcher
from hacore.api.listen import listen
from hacore.api.local_server import LocalServer
from hacore.api.measuring import Measurer
from hacore.api.pool import Pool
from hacore.api.positions import Positions
from hacore.api.request import parser_config
from hacore.api.response import dressing
from hacore.api.settings import ServerSettings, load_settings
from hacore.api.view import View
from hacore.api.worker import EpollWorker
from hacore.config.settings import RestApiSettings
from hacore.control.wire import SOCKET_NAME, Reply, ask
from hacore.errors import ConfigError
from hacore.logs import LogHandle, setup
from hacore.model.clock import BootClock
from hacore.publish.snapshot import SnapshotReader

logger = logging.getLogger(__name__)

SNAPSHOT_VARIABLE: Final = "HACORE_SNAPSHOT_FD"
STATE_DIR_VARIABLE: Final = "HACORE_STATE_DIR"
LOG_FILE: Final = "rest.log"
# Longer than any command may take: the agent answers each in its own time.
_COMMAND_S: Final = 3600.0


class RestProcess:
    """One REST server over one snapshot and one agent."""

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        """Read the configuration and build everything that does not change.

        :raises ConfigError: the configuration is wrong.
        :raises OSError: there is no snapshot where the environment says.
        """
        self._path, self._environ = path, dict(environ)
        self._settings = load_settings(path, environ)
        self._log: LogHandle = setup(self._settings.log, file_name=LOG_FILE)
        self._local = LocalServer(self._settings.postgres)
        self._socket = Path(environ.get(STATE_DIR_VARIABLE) or self._settings.state_dir) / SOCKET_NAME
        clock = BootClock()
        positions = Positions(Measurer(self._dsn).measure)
        self._view = View(
            name=self._settings.name,
            scope=self._settings.scope,
            reader=SnapshotReader(int(environ[SNAPSHOT_VARIABLE])),
            positions=positions,
            clock=clock,
            started_at=clock.now(),
        )
        self._access = Access(self._settings.restapi, self._member_hosts)
        self._loader = Pool("loader", 1)
        self._identity: tls.Identity | None = None
        config = parser_config()
        app = application(self._view, lambda: self._access, self._ask, self.reload)
        self._dispatcher = Dispatcher(app, positions, config, commands=self._settings.restapi.thread_pool_size)
        self._worker = EpollWorker(self._dispatcher.server, config, logger, self.reload)

    def run(self) -> None:
        """Listen and serve until a signal ends it.

        :raises OSError: the address cannot be listened on, or the certificate cannot be read.
        :raises ConfigError: it cannot be used.
        """
        restapi = self._settings.restapi
        self._worker.init_signals()  # before anybody can see that it listens: a reload that came first would end it
        identity = tls.identity(restapi)
        context = tls.context(restapi) if identity is not None else None
        listeners = listen(restapi.listen, backlog=restapi.request_queue_size)
        self._use(self._settings, identity, context, listeners)
        logger.info("REST server listens", extra={"address": str(restapi.listen), "tls": context is not None})
        self._worker.init_process()
        self._log.close()

    def reload(self) -> None:
        """Read the configuration again, on another thread; what is wrong, or cannot be used, changes nothing."""
        self._loader.submit(self._load)

    def _load(self) -> None:
        try:
            found = load_settings(self._path, self._environ)
        except ConfigError as error:
            logger.error("configuration refused, the old one stays", extra={"error": str(error)})  # noqa: TRY400 - the text says it all
            return
        self._dispatcher.server.call_soon(lambda: self._change(found))

    def _change(self, new: ServerSettings) -> None:
        old = self._settings.restapi
        try:
            identity = tls.identity(new.restapi)
            is_same = identity == self._identity
            context = None if is_same or identity is None else tls.context(new.restapi)
            self._log.reload(new.log)
            listeners = None if new.restapi.listen == old.listen else self._bound(new.restapi, old)
        except (OSError, ConfigError) as error:
            self._log.use(self._settings.log)
            logger.error("configuration cannot be used, the old one stays", extra={"error": str(error)})  # noqa: TRY400 - as above
            return
        self._local = LocalServer(new.postgres)
        self._use(new, identity, context, listeners, keep_context=is_same)
        logger.info("configuration loaded again")

    def _bound(self, new: RestApiSettings, old: RestApiSettings) -> tuple[socket.socket, ...]:
        """Listen on the new address. Where the old listener itself stands in the way, it makes room, and comes back if that was in vain."""
        backlog = self._settings.restapi.request_queue_size
        try:
            return listen(new.listen, backlog=backlog)
        except OSError:
            if new.listen.port != old.listen.port:
                raise
        server = self._dispatcher.server
        server.listen_on(())
        try:
            return listen(new.listen, backlog=backlog)
        except OSError:
            server.listen_on(listen(old.listen, backlog=backlog))
            raise

    def _use(
        self,
        settings: ServerSettings,
        identity: tls.Identity | None,
        context: ssl.SSLContext | None,
        listeners: Iterable[socket.socket] | None,
        *,
        keep_context: bool = False,
    ) -> None:
        dispatcher, restapi = self._dispatcher, settings.restapi
        self._settings, self._identity = settings, identity
        self._access = Access(restapi, self._member_hosts)
        dispatcher.dressing = dressing(restapi)
        dispatcher.address = (restapi.connect_address.host, restapi.connect_address.port)
        if not keep_context:
            dispatcher.server.speak(context)
        if listeners is not None:
            dispatcher.server.listen_on(listeners)

    def _dsn(self) -> Mapping[str, str]:
        return self._local.dsn()

    def _ask(self, request: Mapping[str, object]) -> Reply:
        return ask(self._socket, request, timeout_s=_COMMAND_S)

    def _member_hosts(self) -> tuple[str, ...]:
        picture = self._view.reader.read().picture
        return picture.member_hosts if picture is not None else ()


def run(path: str | None) -> int:
    """Run the process; answers its exit code."""
    try:
        RestProcess(path, os.environ).run()
    except (ConfigError, OSError) as error:
        # In the message, because it may come before the settings of the log are known.
        logger.error("REST server cannot serve: %s", error)  # noqa: TRY400 - the text says it all
        logging.shutdown()
        return 2 if isinstance(error, ConfigError) else 1
    return 0
