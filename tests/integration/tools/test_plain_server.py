"""The plain server that plugins' tests are run on does what its name says, in every version that we have."""

import pytest

from hacore.testing.postgres import plain_server


@pytest.mark.parametrize("kind", ["postgresql", "postgresql-18"])
def test_a_plain_server_lives_dies_and_comes_back(kind: str) -> None:
    with plain_server(kind=kind) as server:
        server.query("CREATE TABLE t AS SELECT 1 AS one")
        assert server.switch_wal() == "000000010000000000000001"
        server.stop("immediate")
        server.start()
        assert server.query("SELECT one FROM t") == [(1,)]
        site = server.backup_site()
        assert (site.system_id, site.major_version) == (server.archive_request().identity.system_id, server.major_version)
        assert site.programs["pg_basebackup"].endswith("/pg_basebackup")
