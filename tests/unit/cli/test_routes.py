"""What the command ``routes`` makes of members' status documents."""

from hacore.cli.routes import rows_of


def test_a_router_is_shown_with_what_it_says_or_with_what_is_wrong() -> None:
    routers = {
        "haproxy": {"layer": "proxy", "state": "applied", "target": "b"},
        "pgbouncer": {"layer": "pooler", "state": "degraded", "reason": "no answer", "target": "10.0.0.2:5432"},
    }
    plugins = {"haproxy": {"/run/admin.sock": "token 3: a MAINT, b UP", "since": None}, "pgbouncer": {"paused": False}}
    assert list(rows_of("a", {"hacore": {"routers": routers, "plugins": plugins}}, "")) == [
        {
            "Member": "a",
            "Router": "haproxy",
            "Layer": "proxy",
            "State": "applied",
            "Leads To": "b",
            "Says": "/run/admin.sock: token 3: a MAINT, b UP",
        },
        {"Member": "a", "Router": "pgbouncer", "Layer": "pooler", "State": "degraded", "Leads To": "10.0.0.2:5432", "Says": "no answer"},
    ]


def test_a_member_that_is_silent_is_shown_and_one_without_routers_is_not() -> None:
    assert list(rows_of("a", None, "no answer in time")) == [{"Member": "a", "State": "unknown", "Says": "no answer in time"}]
    assert list(rows_of("a", {"state": "running"}, "")) == []
