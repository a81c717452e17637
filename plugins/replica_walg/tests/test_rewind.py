"""A rewind that needs WAL from the archive. Its server is of no use afterwards, so it has a module of its own."""

from pathlib import Path

from hacore.testing.waiting import wait_for
from plugins.replica_walg.tests.standby import standby_of
from plugins.replica_walg.tests.storages import Site
from plugins.replica_walg.tests.test_repository import built


def test_a_rewind_gets_wal_from_the_archive_and_finds_nothing_fetched_ahead_in_its_way(served: Site) -> None:
    old = served.server
    settings = built(served).hacore_archive_settings(old.archive_request())
    script = old.directory / "fetch.sh"
    exports = "".join(f"export {name}='{value}'\n" for name, value in settings.environment)
    script.write_text(f"#!/bin/sh\n{exports}exec {' '.join(settings.fetch).replace('%f', '$1').replace('%p', '$2')}\n")
    script.chmod(0o755)
    old.configure({"wal_log_hints": "on", "restore_command": f"{script} %f %p", "wal_keep_size": "0"})
    old.stop()
    old.start()
    old.query("DROP TABLE IF EXISTS diverged")
    old.query("CREATE TABLE diverged (number int)")
    with standby_of(served, "new") as new:
        wait_for(lambda: new.query("SELECT to_regclass('diverged') IS NOT NULL") == [(True,)], "the standby follows")
        new.query("SELECT pg_promote()")
        new.query("CHECKPOINT")
        old.query("INSERT INTO diverged SELECT generate_series(1, 1000)")
        for _ in range(4):
            last = served.archive()
            old.query("CHECKPOINT")
        old.stop()
        for path in (old.data / "pg_wal").iterdir():  # what is archived may be gone: the rewind needs the archive
            if path.is_file() and path.name < last:
                path.unlink()
        assert not (old.data / "pg_wal" / ".wal-g").exists()
        old.run(old.program("pg_rewind"), "-D", old.data, "--source-server", new.conninfo, "--restore-target-wal", "--no-sync")
        assert not (old.data / "pg_wal" / ".wal-g").exists()
        assert Path(f"{old.data}.wal-g").exists()
