"""A server that archives by ``wal-g`` into whatever repository a test has, on a directory or in a bucket."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.moto import Moto
from hacore.testing.postgres import PlainServer, plain_server
from hacore.testing.waiting import wait_for
from hacore.testing.walg.binary import Walg, find_walg
from hacore.testing.workdir import give_away, work_directory
from plugins.replica_walg.tests.storages import Bucket, Folder, Site, Storage

ARCHIVE = """\
#!/bin/sh
set -a
[ -e {place}/archive.env ] || exit 0
. {place}/archive.env
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def archiving() -> Iterator[PlainServer]:
    """One server for the tests of a module; ``archive.env`` in its directory says where its WAL goes."""
    with plain_server() as server:
        script = server.directory / "archive.sh"
        script.write_text(ARCHIVE.format(place=server.directory, program=find_walg(server.directory).path))
        script.chmod(0o755)
        server.configure({"archive_mode": "on", "archive_command": f"{script} wal-push %p"})
        server.stop()
        server.start()
        yield server


@pytest.fixture(scope="module")
def bucket_proxy() -> Iterator[TcpProxy]:
    with work_directory("moto-") as directory, Moto(directory.path) as moto, TcpProxy(("127.0.0.1", moto.port)) as proxy:
        moto.make_bucket("wal")
        yield proxy


@pytest.fixture
def storage(request: pytest.FixtureRequest, scratch: Path) -> Storage:
    """Where the test's backups and WAL are: a directory, unless its class says ``storage_kind = "s3"``."""
    if getattr(request.cls, "storage_kind", "directory") == "s3":
        return Bucket(request.getfixturevalue("bucket_proxy"), f"s3://wal/{uuid.uuid4()}")
    return Folder(scratch / "repository")


@pytest.fixture
def site(walg: Walg, storage: Storage, scratch: Path) -> Site:
    """The program and the storage, without a server."""
    return Site(walg=walg, storage=storage, directory=scratch)


@pytest.fixture
def served(archiving: PlainServer, site: Site) -> Iterator[Site]:
    """The same with the server archiving into it from now on."""
    path = archiving.directory / "archive.env"
    draft = path.with_suffix(".draft")

    def archive_with(text: str) -> None:
        draft.write_text(text)
        give_away(draft)
        draft.replace(path)

    archive_with("".join(f"{name}='{value}'\n" for name, value in site.environment.items()))
    site.server = archiving
    first = site.archive()
    wait_for(lambda: site.has_wal(first), f"{first} is in the repository")
    yield site
    archive_with("exit 0\n")
