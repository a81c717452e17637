"""A standby of a test's server."""

from collections.abc import Iterator
from contextlib import contextmanager

from hacore.testing.ports import Ports
from hacore.testing.postgres import PlainServer
from hacore.testing.workdir import give_away
from plugins.replica_walg.tests.storages import Site


@contextmanager
def standby_of(site: Site, name: str) -> Iterator[PlainServer]:
    """A standby of the server, copied from it, with the same archive."""
    primary, home = site.server, site.new_directory(name)
    give_away(home)
    with Ports() as ports:
        server = PlainServer(home, ports.take())
        primary.run(primary.program("pg_basebackup"), "-D", server.data, "-R", "-c", "fast", "-d", primary.conninfo)
        server.configure({"port": str(server.port), "unix_socket_directories": str(home), "archive_mode": "off"})
        server.start()
        try:
            yield server
        finally:
            server.close()
