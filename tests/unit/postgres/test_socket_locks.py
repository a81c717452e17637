"""The empty lock file of a socket, as servers of several languages name it."""

import os
from pathlib import Path

import pytest

from hacore.postgres.socket_locks import drop_empty


@pytest.mark.parametrize(
    "words",
    [
        'LOG: x/y | FATAL:  lock file "{}" is empty | HINT:  Either another server is starting, or',
        "2026-01-01 Europe/Berlin FATAL:  Sperrdatei »{}« ist leer | TIPP:  Entweder startet gerade ein anderer Server",
        "FATAL:  le fichier verrou « {} » est vide",
    ],
)
def test_it_is_found_in_any_language(tmp_path: Path, words: str) -> None:
    lock = tmp_path / ".s.PGSQL.5432.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    assert drop_empty(words.format(lock), owner=os.geteuid())
    assert not lock.exists()
