"""It keeps what every listener must promise, and tells a real web service what it should."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import BeforeSwitchover
from hacore.interfaces import Veto
from hacore.model.events import Event, EventKind
from hacore.testing.conformance.listener import ListenerConformance
from hacore.testing.conformance.plugin import CONTEXT, PluginUnderTest
from hacore.testing.jobs import JobHandle
from hacore_listener_webhook.plugin import WebhookPlugin, WebhookSettings


class Service(ThreadingHTTPServer):
    """The site's service: it notes what it is told, and answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told: list[tuple[str, dict[str, object], str | None]] = []
        self.status = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hacore"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.path, content, self.headers["Authorization"]))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


class TestConformance(ListenerConformance):
    @pytest.fixture
    def subject(self, service: Service) -> PluginUnderTest:
        return PluginUnderTest(kind="listener", name="webhook", section={"url": service.url, "token": "secret"})


def event(kind: EventKind) -> Event:
    return Event(id=7, at=datetime(2025, 1, 2, tzinfo=UTC), kind=kind, scope="main", member="a", role="primary", data=(("previous", "b"),))


def question() -> BeforeSwitchover:
    return BeforeSwitchover(context=CONTEXT, token=7, leader="a", candidate="b", members=())


def test_the_service_is_told_of_a_failover_and_of_nothing_that_is_every_day(service: Service) -> None:
    plugin = WebhookPlugin(WebhookSettings(url=service.url, token="secret"))
    for kind in (EventKind.RELOADED, EventKind.FAILOVER):
        plugin.hacore_event(event(kind))
    content = {"id": 7, "at": "2025-01-02T00:00:00+00:00", "kind": "failover", "cluster": "main", "member": "a", "previous": "b"}
    assert service.told == [("/hacore/events", content, "Bearer secret")]


def test_the_service_may_keep_a_switchover_from_happening(service: Service) -> None:
    plugin = WebhookPlugin(WebhookSettings(url=service.url))
    assert plugin.hacore_before_switchover(question(), JobHandle()) is None
    service.status = 409
    assert isinstance(plugin.hacore_before_switchover(question(), JobHandle()), Veto)


def test_a_service_that_is_away_is_said(service: Service) -> None:
    plugin = WebhookPlugin(WebhookSettings(url="http://127.0.0.1:1/hacore"))
    with pytest.raises(PluginUnavailableError, match="ConnectionError"):
        plugin.hacore_event(event(EventKind.FAILOVER))
    service.status = 500
    with pytest.raises(PluginUnavailableError, match="answered 500"):
        WebhookPlugin(WebhookSettings(url=service.url)).hacore_event(event(EventKind.FENCED))
