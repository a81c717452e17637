"""The embedded store keeps what every store must promise."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.conformance.dcs import DcsConformance, DcsFaults, StoreUnderTest
from hacore_dcs_sqlite.plugin import SqlitePlugin
from hacore_dcs_sqlite.settings import SqliteSettings


class TestSqlite(DcsConformance):
    @pytest.fixture
    def store(self, scratch: Path) -> StoreUnderTest:
        path = scratch / "store.db"
        return StoreUnderTest(plugin=SqlitePlugin, settings=SqliteSettings(path=path), faults=faults(path))


def faults(path: Path) -> DcsFaults:
    def by_hand(statement: str, *values: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as hand, hand:
            hand.execute(statement, values)

    @contextlib.contextmanager
    def stalled() -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as forgotten:
            forgotten.execute("BEGIN IMMEDIATE")
            yield

    def save() -> Path:
        copy = path.with_name("copy.db")
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy

    def restore(copy: Path) -> None:
        shutil.copy(copy, path.with_name("arriving.db"))
        os.replace(path.with_name("arriving.db"), path)  # noqa: PTH105 - as mv does it

    return DcsFaults(
        remove_lock=lambda cluster: by_hand("DELETE FROM lock WHERE cluster = ?", f"hacore-kit/{cluster}"),
        remove_member=lambda cluster, name: by_hand(
            "DELETE FROM record WHERE cluster = ? AND name = ?", f"hacore-kit/{cluster}", f"members/{name}"
        ),
        stalled=stalled,
        save=save,
        restore=restore,
    )
