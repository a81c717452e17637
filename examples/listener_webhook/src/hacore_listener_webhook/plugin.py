"""Tells a web service of the site of every change of the primary, and lets it keep a planned one from happening."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import BeforeSwitchover, ListenerPlugin, hookimpl
from hacore.interfaces import Gate, GatePolicy, Job, Metric, SectionChecker, Veto
from hacore.model.events import Event, EventKind

_TOLD: Final = frozenset({EventKind.SWITCHOVER, EventKind.FAILOVER, EventKind.FENCED, EventKind.BACKUP_FAILED})
_CONFLICT: Final = 409  # the service's way to say: not now


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """The section ``plugins: {webhook: ...}``, checked."""

    url: str
    token: str | None = None
    timeout_s: float = 5.0


class WebhookPlugin(ListenerPlugin):
    """Posts events of the cluster to a web service as JSON."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._told = 0

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Describe the section; its library is imported only where a configuration is read."""
        from hacore_listener_webhook.schema import WebhookSchema  # noqa: PLC0415

        return WebhookSchema

    @hookimpl
    def hacore_event(self, event: Event) -> None:
        """Post what matters here. It runs on a thread of its own: a service that is slow delays other events, and nothing else."""
        if event.kind not in _TOLD:
            return
        content = {"id": event.id, "at": event.at.isoformat(), "kind": str(event.kind), "cluster": event.scope, "member": event.member}
        answer = self._post("events", {**content, **dict(event.data)})
        if answer >= 400:
            raise PluginUnavailableError(f"{self._settings.url}/events: answered {answer}")
        self._told += 1

    @hookimpl
    def hacore_gate_policies(self) -> list[GatePolicy]:
        """A service that does not answer stops no switchover: a person who asks for one may be about to mend something."""
        return [GatePolicy(gate=Gate.BEFORE_SWITCHOVER, limit_s=2 * self._settings.timeout_s, aborts=False)]

    @hookimpl
    def hacore_before_switchover(self, request: BeforeSwitchover, job: Job) -> Veto | None:  # noqa: ARG002
        """Ask: 409 is a no, everything else a yes."""
        content = {"cluster": request.context.scope, "leader": request.leader, "candidate": request.candidate}
        if self._post("switchovers", content) == _CONFLICT:
            return Veto(reason=f"{self._settings.url} says not now")
        return None

    @hookimpl
    def hacore_metrics(self) -> list[Metric]:
        """Count."""
        return [Metric(name="webhook_told", help="Events that the service has taken.", value=self._told)]

    def _post(self, what: str, content: Mapping[str, object]) -> int:
        import requests  # noqa: PLC0415 - heavy, and only where something is to be told

        headers = {} if self._settings.token is None else {"Authorization": f"Bearer {self._settings.token}"}
        try:
            return requests.post(
                f"{self._settings.url}/{what}", json=content, headers=headers, timeout=self._settings.timeout_s
            ).status_code  # fmt: skip
        except requests.RequestException as error:
            raise PluginUnavailableError(f"{self._settings.url}/{what}: {type(error).__name__}") from error
