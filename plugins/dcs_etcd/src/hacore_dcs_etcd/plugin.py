"""The hooks of the etcd store."""

from collections.abc import Sequence
from typing import Final

from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.hookspecs import OpenDcs, Validate, hookimpl
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore.model.clock import Clock
from hacore.sightings import Sightings
from hacore_dcs_etcd.client import Client, RejectedError
from hacore_dcs_etcd.dcs import EtcdDcs
from hacore_dcs_etcd.discovery import Discovery
from hacore_dcs_etcd.settings import EtcdSettings
from hacore_dcs_etcd.watch import Watch
from hacore_dcs_etcd.wire import Keys

_OPEN_S: Final = 8.0
_VALIDATE_S: Final = 5.0


class EtcdPlugin:
    """Kind ``dcs``, section ``etcd3``: etcd 3.4 or newer, through its JSON gateway."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_etcd.schema import EtcdSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return EtcdSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do."""
        return DcsCapabilities(minimum_ttl_s=2.0, ttl_is_minimum=True)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Read the certificates; with ``online`` ask the servers."""
        try:
            client, keys = Client(self._settings, request.context.clock), Keys.of(request.context.namespace, request.context.scope)
            if request.online:
                self._greet(client, keys, request.context.clock, _VALIDATE_S)
                client.close()
        except ConfigError as error:
            return (str(error),)
        except DcsUnavailableError as error:
            raise PluginUnavailableError(str(error)) from error
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """Find the cluster and see that we may read it. The lease is granted when it is first needed, so an observer leaves none."""
        clock = request.clock
        keys, sightings = Keys.of(request.namespace, request.scope), Sightings(clock)
        client = Client(self._settings, clock)
        self._greet(client, keys, clock, min(_OPEN_S, request.retry_timeout_s))
        watching = Client(self._settings, clock)
        watching.learn(client.endpoints, named=client.named)
        discovery = Discovery(self._settings, watching, clock)
        watch = Watch(client=watching, discovery=discovery, session=client, keys=keys, sightings=sightings, ttl_s=request.ttl_s)
        return EtcdDcs(client=client, watch=watch, keys=keys, member=request.member, clock=clock, sightings=sightings)

    def _greet(self, client: Client, keys: Keys, clock: Clock, timeout_s: float) -> None:
        """Find the members and see that the cluster's keys may be read."""
        until = clock.now() + timeout_s
        discovery = Discovery(self._settings, client, clock)
        try:
            if discovery.is_possible:
                discovery.run(timeout_s=timeout_s)
            client.call("kv/range", {**keys.all(), "limit": 1}, until=until, repeatable=True)
        except RejectedError as error:
            raise ConfigError(f"etcd3: {error}, want a user who may read and write the cluster's keys") from error
        except DcsUnavailableError:
            client.close()
            raise
