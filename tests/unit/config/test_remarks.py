"""What a person is told while changing the dynamic configuration."""

from typing import Any

import pytest

from hacore.config.dynamic import faults
from hacore.config.remarks import remarks


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"postgresql": {"parameters": {"max_connections": "abc"}}}, "max_connections"),
        ({"postgresql": {"parameters": {"wal_level": "minimal"}}}, "wal_level"),
        ({"postgresql": {"parameters": {"port": 5433}}}, "port"),
        ({"postgresql": {"listen": "*:5432"}}, "postgresql.listen"),
        ({"postgresql": {"use_slot": True}}, "use_slot"),
        ({"ttll": 30}, "ttll"),
        ({"ttl": 10}, "ttl"),
        ({"loop_wait": 20, "retry_timeout": 20, "ttl": 30}, "loop_wait"),
        ({"failsafe_mode": True}, "failsafe_mode"),
    ],
)
def test_what_members_will_not_do_as_it_is_written_is_said(config: dict[str, Any], key: str) -> None:
    assert faults(config) == ()
    assert any(key in one for one in remarks(config)), remarks(config)


def test_nothing_is_said_of_what_members_do() -> None:
    assert remarks({"ttl": 30, "loop_wait": 10, "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 200}}}) == ()
