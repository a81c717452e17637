"""PgBouncer as a router keeps what every router must promise, with two servers behind it."""

from contextlib import suppress

import psycopg2
import pytest

from hacore.interfaces import Endpoint, RoutingState
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.conformance.router import DrainConformance, ProbeConformance, RouterCases, RouterConformance
from hacore.testing.history import DeadlinePassedError, Session
from hacore.testing.pgbouncer import PgBouncer
from hacore.testing.postgres import PlainServer

ANSWER_S = 0.7


def endpoint(servers: dict[str, PlainServer], name: str) -> Endpoint:
    return Endpoint(member=name, host="127.0.0.1", port=servers[name].port)


def who_answers(bouncer: PgBouncer, deadline_s: float = ANSWER_S) -> str | None:
    """The member to which a client's statement gets through the database ``app``."""
    with suppress(psycopg2.Error, DeadlinePassedError):
        session = Session(bouncer.conninfo("app"), deadline_s=deadline_s)
        try:
            return str(session.query("SELECT current_setting('cluster_name')", deadline_s=deadline_s)[0][0])
        finally:
            session.close()
    return None


class TestPgbouncer(RouterConformance, DrainConformance, ProbeConformance):
    @pytest.fixture
    def subject(self, bouncer: PgBouncer) -> PluginUnderTest:
        section = {
            "console": bouncer.console,
            "databases": {"app": {"dbname": "postgres"}},
            "databases_file": str(bouncer.databases),
            "timeout": "1s",
        }
        return PluginUnderTest(kind="router", name="pgbouncer", section=section)

    @pytest.fixture
    def cases(self, bouncer: PgBouncer, servers: dict[str, PlainServer]) -> RouterCases:
        a, b = endpoint(servers, "a"), endpoint(servers, "b")
        return RouterCases(
            here=RoutingState(token=7, revision=1, me=a, leader=a, leads=True, standbys=(b,), members=(a, b)),
            elsewhere=RoutingState(token=8, revision=1, me=a, leader=b, standbys=(a,), members=(a, b)),
            target=lambda: who_answers(bouncer),
            is_held=lambda: who_answers(bouncer) is None,
            spoil=bouncer.freeze,
            mend=bouncer.thaw,
        )
