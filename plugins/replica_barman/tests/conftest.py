"""A server that archives into Barman by the plugin's own program, and a Barman of each test's own."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.barman import BarmanHost, Sshd
from hacore.testing.postgres import PlainServer, plain_server
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, work_directory
from plugins.replica_barman.tests.sites import Site

ARCHIVE = """\
#!/bin/sh
[ -e {place}/archive.env ] || exit 1
. {place}/archive.env
"""


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with work_directory("sshd-") as directory, Sshd(directory.path) as server:
        yield server


@pytest.fixture(scope="module")
def archiving() -> Iterator[PlainServer]:
    """One server for the tests of a module; ``archive.env`` in its directory says how its WAL goes where."""
    with plain_server() as server:
        script = server.directory / "archive.sh"
        script.write_text(ARCHIVE.format(place=server.directory))
        script.chmod(0o755)
        server.configure({"archive_mode": "on", "archive_command": f"{script} %p %f"})
        server.stop()
        server.start()
        yield server


@pytest.fixture
def site(request: pytest.FixtureRequest, sshd: Sshd, scratch: Path) -> Iterator[Site]:
    """Barman without a server; by streaming where the test's class says ``method = "streaming"``."""
    streaming = getattr(request.cls, "method", "rsync") == "streaming"
    server: PlainServer | None = request.getfixturevalue("archiving") if "served" in request.fixturenames else None
    conninfo = "host=127.0.0.1 port=1 user=postgres dbname=postgres" if server is None else server.conninfo
    with BarmanHost(scratch, sshd, conninfo=conninfo, streaming=streaming) as barman:
        yield Site(barman=barman, sshd=sshd, directory=scratch)
    if server is not None:
        drop_slots(server)


@pytest.fixture
def served(archiving: PlainServer, site: Site) -> Iterator[Site]:
    """The same with the server archiving into it from now on."""
    settings = site.plugin().hacore_archive_settings(archiving.archive_request())
    words = " ".join({"%p": '"$1"', "%f": '"$2"'}.get(word) or shlex.quote(word) for word in settings.push)
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.environment) + f"exec {words}\n"
    path = archiving.directory / "archive.env"
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    give_away(draft)
    draft.replace(path)
    site.server = archiving
    site.archive()
    yield site
    path.unlink()


def drop_slots(server: PlainServer) -> None:
    """Let the server keep no WAL for a Barman that has gone."""
    free = "SELECT count(*) FROM pg_replication_slots WHERE active"
    wait_for(lambda: server.query(free) == [(0,)], "nobody is connected to a slot")
    server.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
