"""The plugins: hooks only."""

from collections.abc import Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_acl

from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.hookspecs import OpenDcs, Validate, hookimpl
from hacore.http.certificates import Encryption, TlsFiles, client_tls
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore_dcs_zookeeper.connection import RejectedError, Way
from hacore_dcs_zookeeper.dcs import ZookeeperDcs
from hacore_dcs_zookeeper.link import Link
from hacore_dcs_zookeeper.places import Exhibitor, Named
from hacore_dcs_zookeeper.session_file import FILE_NAME, SessionFile
from hacore_dcs_zookeeper.settings import ZookeeperSettings
from hacore_dcs_zookeeper.sightings import Sightings
from hacore_dcs_zookeeper.transactions import Transactions
from hacore_dcs_zookeeper.tree import Keys
from hacore_dcs_zookeeper.watch import Watch

_OPEN_S: Final = 6.0  # the core waits for 10 s, and what did not open has to be closed
_VALIDATE_S: Final = 5.0
_CONNECT_S: Final = (0.5, 2.0)  # limits of what one attempt may take


class ZookeeperPlugin:
    """``zookeeper``: ZooKeeper 3.6 or newer."""

    _SECTION = "zookeeper"

    def __init__(self, settings: ZookeeperSettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_zookeeper.schema import ZookeeperSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return ZookeeperSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do."""
        return DcsCapabilities(minimum_ttl_s=2.0, ttl_is_minimum=True)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Read the certificates; with ``online`` ask the servers."""
        try:
            encryption = _encryption(self._settings, self._SECTION)
            if request.online:
                _open(self._settings, encryption, OpenDcs(context=request.context, observer=True), _VALIDATE_S).close()
        except ConfigError as error:
            return (str(error),)
        except DcsUnavailableError as error:
            raise PluginUnavailableError(str(error)) from error
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """Connect, go on with the session of a predecessor where there is one, and see that we may read."""
        return _open(self._settings, _encryption(self._settings, self._SECTION), request, min(_OPEN_S, request.retry_timeout_s))


class ExhibitorPlugin(ZookeeperPlugin):
    """``exhibitor``: ZooKeeper whose servers Exhibitor knows."""

    _SECTION = "exhibitor"

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_zookeeper.schema import ExhibitorSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return ExhibitorSchema


def _open(settings: ZookeeperSettings, encryption: Encryption | None, request: OpenDcs, limit_s: float) -> Dcs:
    until = request.clock.now() + limit_s
    keys, sightings = Keys.of(settings.chroot, request.namespace, request.scope), Sightings(request.clock)
    places = Named(settings.hosts) if settings.exhibitor is None else Exhibitor(settings.exhibitor)
    watch = Watch(keys, sightings)
    connect_s = max(_CONNECT_S[0], min(request.retry_timeout_s / 3, _CONNECT_S[1]))
    keeps = request.state_dir is not None and not request.observer
    link = Link(
        way=Way(settings, request.clock, encryption, connect_s, watch.changed),
        places=places,
        watch=watch,
        prefix=keys.prefix,
        ttl_s=request.ttl_s,
        file=SessionFile(Path(request.state_dir or "") / FILE_NAME) if keeps else None,
    )
    transactions = Transactions(link=link, keys=keys, acl=_acl(settings))
    session = ZookeeperDcs(
        link=link,
        transactions=transactions,
        watch=watch,
        keys=keys,
        member=request.member,
        clock=request.clock,
        sightings=sightings,
    )
    try:
        places.wait(until - request.clock.now())
        session.snapshot(timeout_s=until - request.clock.now())
    except DcsUnavailableError as error:
        session.close()
        refusal = error if isinstance(error, RejectedError) else link.refusal
        if refusal is not None:
            wanted = "want ZooKeeper 3.6 or newer, and somebody who may read and write the cluster's nodes"
            raise ConfigError(f"zookeeper: {refusal!r}, {wanted}") from error
        raise
    return session


def _acl(settings: ZookeeperSettings) -> list[ACL]:
    if not settings.set_acls:
        return list(OPEN_ACL_UNSAFE)
    rights: list[tuple[str, dict[str, Any]]] = [(who, {right.lower(): True for right in rights}) for who, rights in settings.set_acls]
    return [make_acl("x509", who, **what) for who, what in rights]


def _encryption(settings: ZookeeperSettings, section: str) -> Encryption | None:
    """Return what encrypts connections; servers of the field have certificates without their names, so these are not compared."""
    files = TlsFiles.of(section, settings)

    def build() -> SSLContext:
        context = client_tls(files, password=settings.key_password, verify=settings.verify)
        context.check_hostname = False
        return context

    return Encryption(build, files.paths) if settings.use_ssl else None
