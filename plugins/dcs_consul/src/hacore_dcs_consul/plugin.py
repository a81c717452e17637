"""The hooks of the Consul store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.hookspecs import OpenDcs, Validate, hookimpl
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore.model.clock import Clock
from hacore.sightings import Sightings
from hacore_dcs_consul.client import Client, RejectedError
from hacore_dcs_consul.dcs import ConsulDcs
from hacore_dcs_consul.service import Registrar, Service
from hacore_dcs_consul.session import ServerSession
from hacore_dcs_consul.settings import ConsulSettings
from hacore_dcs_consul.standing import LEADER, Standing
from hacore_dcs_consul.watch import Watch
from hacore_dcs_consul.wire import Keys

_OPEN_S: Final = 8.0
_VALIDATE_S: Final = 5.0


class ConsulPlugin:
    """Kind ``dcs``, section ``consul``: Consul, through the HTTP API of an agent."""

    def __init__(self, settings: ConsulSettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_consul.schema import ConsulSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return ConsulSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what Consul can do."""
        return DcsCapabilities(snapshot_revision=False, minimum_ttl_s=20.0, ttl_is_minimum=True, networked=True)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Read the certificates; with ``online`` ask the agent."""
        try:
            client, keys = Client(self._settings, request.context.clock), Keys.of(request.context.namespace, request.context.scope)
            if request.online:
                _greet(client, keys, request.context.clock, _VALIDATE_S)
                client.close()
        except ConfigError as error:
            return (str(error),)
        except DcsUnavailableError as error:
            raise PluginUnavailableError(str(error)) from error
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """See that we may read. The session is created when it is first needed, so an observer leaves none."""
        settings, clock = self._settings, request.clock
        keys, sightings = Keys.of(request.namespace, request.scope), Sightings(clock)
        client = Client(settings, clock)
        _greet(client, keys, clock, min(_OPEN_S, request.retry_timeout_s))
        watch = Watch(
            client=Client(settings, clock, tls=client.tls),
            clock=clock,
            keys=keys,
            sightings=sightings,
            is_stale=settings.consistency == "stale",
            loop_wait_s=request.loop_wait_s,
        )
        service = Service(scope=request.scope, member=request.member, settings=settings)
        local = Client(replace(settings, endpoints=settings.endpoints[:1]), clock, tls=client.tls)
        session = ServerSession(client, clock, name=f"{request.scope}-{request.member}", checks=settings.checks)
        standing = Standing(client, keys, sightings, clock, watch.picture, member=request.member)
        registrar = Registrar(service, local, clock)
        return ConsulDcs(client=client, session=session, standing=standing, watch=watch, registrar=registrar, clock=clock)


def _greet(client: Client, keys: Keys, clock: Clock, timeout_s: float) -> None:
    """See that a server answers and that the cluster's keys may be read: a reading of all of them only leaves out what may not be."""
    try:
        client.read(keys.path(LEADER), {"consistent": ""}, until=clock.now() + timeout_s)
    except RejectedError as error:
        client.close()
        raise ConfigError(f"consul: {error}, want a token that may read and write the cluster's keys") from error
    except DcsUnavailableError:
        client.close()
        raise
