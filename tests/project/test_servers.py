"""Real servers are found, and one that is missing is an error that says how to get it."""

from pathlib import Path

import pytest

from hacore.testing import servers


@pytest.mark.parametrize("kind", servers.KINDS)
def test_every_server_that_the_tests_need_is_here_and_runs(kind: str) -> None:
    assert servers.version_of(servers.locate(kind)) != "unknown"


@pytest.mark.parametrize("kind", ["patroni", "check_patroni", "postgresql-18", "consul"])
def test_a_server_that_is_missing_is_an_error_that_names_the_command(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACORE_CACHE", str(tmp_path))
    with pytest.raises(servers.ServerMissingError, match=servers.INSTALL_COMMAND):
        servers.locate(kind)


def test_an_unknown_kind_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(servers.ServerMissingError, match="haproxy"):
        servers.locate("mysql")


def test_a_program_that_is_not_there_is_an_error_that_names_the_server() -> None:
    with pytest.raises(servers.ServerMissingError, match="no program pg_nothing"):
        servers.locate("postgresql").program("pg_nothing")
