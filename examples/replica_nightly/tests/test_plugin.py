"""It keeps what every replica method must promise, and its standbys are real ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Created, Offer, Refusal
from hacore.model.lsn import Lsn
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.conformance.replica import ReplicaCases, ReplicaConformance
from hacore.testing.jobs import JobHandle
from hacore.testing.postgres import PlainServer, plain_server
from hacore.testing.workdir import give_away
from hacore_replica_nightly.plugin import NightlyPlugin, NightlySettings

SLOW_TAR = """#!/bin/sh
sleep 3
exec /bin/tar "$@"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    with plain_server() as one:
        where = ("--host", one.directory, "--port", one.port, "--username", one.owner)
        one.run(one.program("pg_basebackup"), "--format=tar", "--checkpoint=fast", "-D", one.directory / "nightly", *where)
        yield one


@pytest.fixture
def request_into(server: PlainServer, scratch: Path) -> ReplicaRequest:
    return ReplicaRequest(
        context=server.context(),
        method="nightly",
        data_dir=str(scratch / "standby"),
        source=None,
        leader_lsn=Lsn.parse(server.query("SELECT pg_current_wal_lsn()::text")[0][0]),
        programs=server.programs(),
        environment=server.environment,
    )


class TestConformance(ReplicaConformance):
    @pytest.fixture
    def subject(self, scratch: Path) -> PluginUnderTest:
        return PluginUnderTest(kind="replica", name="nightly", section={"path": str(scratch / "nightly")})

    @pytest.fixture
    def cases(self, server: PlainServer, scratch: Path, request_into: ReplicaRequest) -> ReplicaCases:
        (scratch / "nightly").symlink_to(server.directory / "nightly")
        slow = scratch / "slow"
        slow.mkdir()
        (slow / "tar").write_text(SLOW_TAR)
        (slow / "tar").chmod(0o755)
        environment = dict(request_into.environment)
        return ReplicaCases(
            works=request_into,
            fails=replace(request_into, data_dir=str(scratch / "fails"), environment={**environment, "TAR_OPTIONS": "--no-such-option"}),
            lasts=replace(
                request_into, data_dir=str(scratch / "lasts"), environment={**environment, "PATH": f"{slow}:{environment['PATH']}"}
            ),
        )


def test_it_offers_where_the_backup_begins(server: PlainServer, request_into: ReplicaRequest) -> None:
    offer = NightlyPlugin(NightlySettings(path=server.directory / "nightly")).hacore_replica_offer(request_into)
    assert isinstance(offer, Offer)
    assert offer.timeline == 1
    assert offer.wal_bytes is not None


def test_a_night_without_a_backup_is_refused(scratch: Path, request_into: ReplicaRequest) -> None:
    assert isinstance(NightlyPlugin(NightlySettings(path=scratch)).hacore_replica_offer(request_into), Refusal)


def test_a_server_starts_from_it(server: PlainServer, scratch: Path, request_into: ReplicaRequest) -> None:
    plugin = NightlyPlugin(NightlySettings(path=server.directory / "nightly"))
    assert isinstance(plugin.hacore_create_replica(request_into, None, JobHandle()), Created)
    copy = PlainServer(scratch, server.port)
    (scratch / "standby").rename(copy.data)
    for path in (copy.data, *copy.data.rglob("*")):
        give_away(path)
    copy.configure({"listen_addresses": "", "unix_socket_directories": str(scratch)})
    copy.start()
    try:
        assert copy.system_id == server.system_id
    finally:
        copy.close()
