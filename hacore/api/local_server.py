"""How the PostgreSQL of this node is reached from the REST process: by what the running server wrote into its pid file."""

import os
import pwd
from pathlib import Path
from typing import Final

from hacore.config.address import WILDCARD_HOSTS
from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import PostgresUnreachableError
from hacore.postgres.conninfo import options_of
from hacore.postgres.pidfile import PidFile, read_pid_file
from hacore.postgres.resolve import Resolver

_RESOLVE_S: Final = 0.5
_NEWEST_MAJOR: Final = 18  # our own libpq knows every keyword


class LocalServer:
    """The address of the server, looked up afresh each time: it may have been started with another one."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._resolver = Resolver()

    def dsn(self) -> dict[str, str]:
        """Return the keywords of the connection, with the password.

        :raises PostgresUnreachableError: no server runs, or its address is a name that nobody can look up.
        """
        file = read_pid_file(Path(self._settings.data_dir) / "postmaster.pid")
        if file is None or file.is_single_user:
            raise PostgresUnreachableError("PostgreSQL: no server runs")
        connection = self._settings.authentication.superuser
        found = {**options_of(connection, _NEWEST_MAJOR), **self._place(file), "dbname": self._settings.database}
        found.setdefault("user", pwd.getpwuid(os.geteuid()).pw_name)
        secrets = {"password": connection.password, "sslpassword": connection.sslpassword}
        return found | {name: value for name, value in secrets.items() if value}

    def _place(self, file: PidFile) -> dict[str, str]:
        port = str(file.port or self._settings.port)
        if file.socket_dir and (self._settings.use_unix_socket or not file.listen_address):
            return {"host": file.socket_dir, "port": port}
        host = (file.listen_address or "localhost").partition(",")[0].strip()
        if host in WILDCARD_HOSTS:
            return {"host": "::1" if host == "::" else "127.0.0.1", "port": port}
        address = self._resolver.address(host, timeout_s=_RESOLVE_S)
        if address is None:
            raise PostgresUnreachableError(f"{host}: no address is known for this name")
        return {"host": host, "hostaddr": address, "port": port}
