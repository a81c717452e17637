"""The settings of the embedded store, and its hooks."""

from pathlib import Path

import pytest

from hacore.hookspecs import Validate
from hacore.schema import check
from hacore.testing.conformance.store import request_for
from hacore_dcs_sqlite.plugin import SqlitePlugin
from hacore_dcs_sqlite.schema import SqliteSchema
from hacore_dcs_sqlite.settings import SqliteSettings


def test_the_section_names_the_file() -> None:
    assert SqliteSchema().load({"path": "/var/lib/hacore/store.db"}) == SqliteSettings(path=Path("/var/lib/hacore/store.db"))


@pytest.mark.parametrize("section", [{}, {"path": ""}, {"path": "store.db"}, {"path": ["/a"]}, {"path": None}])
def test_a_section_without_an_absolute_path_is_refused(section: object) -> None:
    assert list(check(SqliteSchema(), section)) == [("path",)]


def test_the_plugin_brings_its_schema_without_an_instance() -> None:
    assert SqlitePlugin.hacore_config_schema() is SqliteSchema


def test_validation_names_a_directory_that_is_missing(scratch: Path) -> None:
    request = Validate(context=request_for("demo", "a").context)
    assert SqlitePlugin(SqliteSettings(path=scratch / "store.db")).hacore_validate(request) == ()
    (fault,) = SqlitePlugin(SqliteSettings(path=scratch / "nowhere" / "store.db")).hacore_validate(request)
    assert "nowhere" in fault
