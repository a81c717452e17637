"""The section of the configuration."""

import pytest

from hacore.schema import check
from hacore_dcs_pgtable.schema import TableSchema
from hacore_dcs_pgtable.settings import TableSettings


def test_the_section_names_the_host_and_may_leave_the_rest_out() -> None:
    assert TableSchema().load({"host": "10.0.0.9", "password": "secret"}) == TableSettings(host="10.0.0.9", password="secret")
    settings = TableSchema().load({"host": "db", "port": 5433, "database": "ha", "username": "agent", "cacert": "/etc/ca.crt"})
    assert settings == TableSettings(host="db", port=5433, database="ha", username="agent", cacert="/etc/ca.crt")


@pytest.mark.parametrize(("section", "wrong"), [({}, "host"), ({"host": ""}, "host"), ({"host": "db", "port": 0}, "port")])
def test_what_is_wrong_is_named(section: object, wrong: str) -> None:
    assert list(check(TableSchema(), section)) == [(wrong,)]
