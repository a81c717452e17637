"""The hooks of the Kubernetes store."""

import re
from collections.abc import Sequence
from typing import Final

from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.hookspecs import OpenDcs, PluginContext, Validate, hookimpl
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore.model.clock import Clock, Instant
from hacore.sightings import Sightings
from hacore_dcs_kubernetes.access import find_access
from hacore_dcs_kubernetes.client import Client, RefusedByServerError
from hacore_dcs_kubernetes.dcs import KubernetesDcs, Parts
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.follower import Means
from hacore_dcs_kubernetes.heard import Sent
from hacore_dcs_kubernetes.lock import OwnClock
from hacore_dcs_kubernetes.members import Members
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES, Kind, Objects, Place
from hacore_dcs_kubernetes.pods import Pods
from hacore_dcs_kubernetes.records import TOGETHER
from hacore_dcs_kubernetes.rivals import Rivals
from hacore_dcs_kubernetes.routing import Routing
from hacore_dcs_kubernetes.settings import LEASE, KubernetesSettings
from hacore_dcs_kubernetes.shelf import Shelf
from hacore_dcs_kubernetes.watch import Known, Watch, Watched

_OPEN_S: Final = 8.0
_VALIDATE_S: Final = 5.0
_SCOPE: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


class KubernetesPlugin:
    """Kind ``dcs``, section ``kubernetes``."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._rivals = Rivals()

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_kubernetes.schema import KubernetesSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return KubernetesSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do."""
        return DcsCapabilities(transactions=TOGETHER)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Check the scope and the kubeconfig that is named; with ``online`` ask the servers. A pod's account is only in the pod."""
        clock = request.context.clock
        try:
            place = self._place(request.context)
            if request.online or self._settings.kubeconfig is not None:
                access = find_access(self._settings, clock)
                if request.online:
                    self._ask(Client(access, clock), place, request.context)
        except ConfigError as error:
            return (str(error),)
        except DcsUnavailableError as error:
            raise PluginUnavailableError(str(error)) from error
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """See that we are let in, that the pod is one of the cluster's, and that no lock of another kind lives."""
        clock, place = request.clock, self._place(request.context)
        access, retriable = find_access(self._settings, clock), frozenset(self._settings.retriable_http_codes)
        client, of_objects, of_pods = (Client(access, clock, retriable) for _ in range(3))
        directory = Directory(clock, (client, of_objects, of_pods), bypass=self._settings.bypass_api_service)
        until = clock.now() + min(_OPEN_S, request.retry_timeout_s)
        kind = self._kind
        known = _known(clock)
        members = self._members(client, place, request.context.member, known)
        try:
            directory.look(client)
            self._greet(client, place, until)
            if not request.observer:
                _join(members, until)
                self._rivals.refuse(client, kind, place, clock=clock, until=until)
        except (ConfigError, DcsUnavailableError):
            client.close()
            raise
        watched = Watched(
            objects=Objects(of_objects, kind, place),
            pods=Pods(of_pods, place),
            of_pods=members.beats,
            ttl_s=request.ttl_s,
            member=request.member,
        )
        watch = Watch(watched, known, Means(clock=clock, directory=directory))
        routing = Routing(client=client, kind=kind, place=place, settings=self._settings, member=request.member, clock=clock)
        return KubernetesDcs(
            Parts(
                shelf=Shelf(Objects(client, kind, place), known),
                members=members,
                routing=routing,
                watch=watch,
                member=request.member,
                clock=clock,
                see_alone=lambda until: self._rivals.refuse(client, kind, place, clock=clock, until=until),
                close=client.close,
            )
        )

    @property
    def _kind(self) -> Kind:
        if self._settings.lock == LEASE:
            return LEASES
        return ENDPOINTS if self._settings.use_endpoints else CONFIG_MAPS

    def _place(self, context: PluginContext) -> Place:
        if not _SCOPE.fullmatch(context.scope):
            raise ConfigError(f"scope: {context.scope}: want a name of objects: small letters, digits, '-' and '.', at most 63 characters")
        settings = self._settings
        return Place(namespace=settings.namespace, scope=context.scope, scope_label=settings.scope_label, labels=dict(settings.labels))

    def _members(self, client: Client, place: Place, member: str, known: Known) -> Members:
        return Members(pods=Pods(client, place), settings=self._settings, member=member, known=known)

    def _ask(self, client: Client, place: Place, context: PluginContext) -> None:
        until = context.clock.now() + _VALIDATE_S
        try:
            self._greet(client, place, until)
            _join(self._members(client, place, context.member, _known(context.clock)), until)
        finally:
            client.close()

    def _greet(self, client: Client, place: Place, until: Instant) -> None:
        """See that the objects may be read."""
        try:
            Objects(client, self._kind, place).list(until)
        except RefusedByServerError as error:
            raise ConfigError(f"{error}, want a role that may read the cluster's objects") from error


def _known(clock: Clock) -> Known:
    return Known(clock=clock, own_clock=OwnClock(clock), sightings=Sightings(clock), beats=Sent(clock), renewals=Sent(clock))


def _join(members: Members, until: Instant) -> None:
    """See that the own pod is there, and one of the cluster's."""
    try:
        members.look(until)
    except RefusedByServerError as error:
        raise ConfigError(f"{error}, want the name of the pod that this is, in its namespace, and a role that may read it") from error
    lacking = members.lacking()
    if lacking is not None:
        raise ConfigError(f"kubernetes: {lacking}")
