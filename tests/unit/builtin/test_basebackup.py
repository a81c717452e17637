"""How pg_basebackup is called, and what is made of what it says."""

import pytest

from hacore.builtin.basebackup import BasebackupPlugin, command_line, read_progress
from hacore.interfaces import Created, Failed, Finished
from tests.unit.plugins.making import NoJob, replica_request

OPTIONS = (("max-rate", "100M"), ("tablespace-mapping", "/a=/b"), ("no-verify-checksums", None))


def test_the_command_line_is_the_field_s_and_has_no_secret() -> None:
    assert list(command_line(replica_request(options=OPTIONS, programs={"pg_basebackup": "/pg/bin/pg_basebackup"}))) == [
        "/pg/bin/pg_basebackup",
        "--pgdata=/nowhere",
        "-X",
        "stream",
        "--dbname=host=b port=5432 user=replicator",
        "--no-password",
        "--progress",
        "--max-rate=100M",
        "--tablespace-mapping=/a=/b",
        "--no-verify-checksums",
    ]


def test_progress_is_asked_for_once() -> None:
    assert list(command_line(replica_request(options=(("progress", None),)))).count("--progress") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  23456/98304 kB (23%), 0/1 tablespace", "22 of 96 MiB (23 %)"),
        ("98304/98304 kB (100%), 1/1 tablespace", "96 of 96 MiB (100 %)"),
        ("45056/45056 kB (100%), 0/2 tablespaces (/var/lib/x/base/1/2345)", "44 of 44 MiB (100 %)"),
        ("pg_basebackup: error: connection failed", None),
        ("", None),
    ],
)
def test_progress_is_read_from_what_it_writes(line: str, said: str | None) -> None:
    assert read_progress(line) == said


def test_a_copy_that_succeeds_tells_how_far_it_is_and_takes_the_password_from_a_file() -> None:
    seen: list[dict[str, str]] = []

    def run(argv: list[str], environment: dict[str, str]) -> Finished:
        assert not any("pass" in word for word in argv if word != "--no-password")
        seen.append(environment)
        return Finished(exit_code=0, output="  1024/4096 kB (25%), 0/1 tablespace\n")

    job = NoJob(run)
    assert BasebackupPlugin({}).hacore_create_replica(replica_request(environment={"PATH": "/bin"}), None, job) == Created()
    assert seen == [{"PATH": "/bin", "LC_ALL": "C", "PGPASSFILE": "/nowhere/pass"}]
    assert job.said == ["basebackup: 1 of 4 MiB (25 %)"]


def test_a_copy_that_fails_says_why_and_is_worth_another_attempt() -> None:
    output = "1024/4096 kB (25%), 0/1 tablespace\npg_basebackup: error: could not connect\n"
    outcome = BasebackupPlugin({}).hacore_create_replica(replica_request(), None, NoJob(lambda *_: Finished(exit_code=1, output=output)))
    assert outcome == Failed(reason="pg_basebackup ended with 1: pg_basebackup: error: could not connect", retry_after_s=5.0)


def test_without_a_server_there_is_nothing_to_copy() -> None:
    outcome = BasebackupPlugin({}).hacore_create_replica(replica_request(source=None), None, NoJob())
    assert isinstance(outcome, Failed)
    assert outcome.untouched


def test_a_program_that_is_not_there_is_a_failure() -> None:
    def run(*_: object) -> Finished:
        raise FileNotFoundError(2, "No such file", "pg_basebackup")

    assert isinstance(BasebackupPlugin({}).hacore_create_replica(replica_request(), None, NoJob(run)), Failed)
