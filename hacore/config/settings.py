"""The local settings of one node as frozen values, a class per section of the file.

They carry what was read and checked elsewhere and know neither files nor schemas, so that a process which only uses
settings imports no schema library. What the dynamic configuration may change as well stands in ``effective``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hacore.config.address import HostPort
from hacore.model.policy import Tags
from hacore.model.recovery import RecoveryTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user and its password."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Section ``log``."""

    type: str  # plain or json
    level: str
    traceback_level: str
    format: str | tuple[tuple[str, str], ...]  # json: (field, name under which it is written)
    dateformat: str | None
    static_fields: Mapping[str, object]
    max_queue_size: int
    dir: str | None  # None: standard error
    mode: int | None  # None: as the umask says
    file_num: int
    file_size: int
    loggers: Mapping[str, str]
    deduplicate_heartbeat_logs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RestApiSettings:
    """Section ``restapi``."""

    listen: HostPort
    connect_address: HostPort
    authentication: Credentials | None
    certfile: str | None
    keyfile: str | None
    keyfile_password: str | None = field(repr=False)
    cafile: str | None
    ciphers: str | None
    verify_client: str  # none, optional or required
    allowlist: tuple[str, ...]
    allowlist_include_members: bool
    http_extra_headers: Mapping[str, str]
    https_extra_headers: Mapping[str, str]
    request_queue_size: int
    thread_pool_size: int
    server_tokens: str  # original, minimal or productonly

    @property
    def scheme(self) -> str:
        """The scheme under which other members reach this node."""
        return "https" if self.certfile else "http"

    @property
    def api_url(self) -> str:
        """What the member record publishes."""
        return f"{self.scheme}://{self.connect_address}/patroni"


@dataclass(frozen=True, slots=True, kw_only=True)
class CtlSettings:
    """Section ``ctl``: how this node's commands reach the REST servers of the members."""

    authentication: Credentials | None  # restapi.authentication where the section has none of its own
    insecure: bool
    cacert: str | None  # restapi.cafile where the section has none of its own
    certfile: str | None
    keyfile: str | None
    keyfile_password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSettings:
    """Section ``watchdog``. The kernel's watchdog device is not driven yet: ``required`` is refused."""

    mode: str  # off or automatic
    device: str
    safety_margin: int
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """Section ``guard``. ``None``: derived from the ttl in force."""

    margin_s: float | None
    budget_s: float | None
    state_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOption:
    """One option of initdb or pg_basebackup: ``--name`` or ``--name=value``."""

    name: str
    value: str | None

    def as_argument(self) -> str:
        """Write the option as one word of a command line."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapRestore:
    """Begin with a backup. ``source``: what differs from the plugin's own section, where the backups are another cluster's."""

    plugin: str
    target: RecoveryTarget
    backup: str | None
    source: Mapping[str, object] = field(repr=False)
    tablespaces: Mapping[str, str] = field(default_factory=dict)  # directory here by the directory there


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapMethod:
    """A way of one's own to make the first data directory: ``bootstrap.<method>``. ``restore``: by a plugin, without a command."""

    name: str
    command: str
    no_params: bool
    keep_existing_recovery_conf: bool
    recovery_conf: Mapping[str, str]
    options: Mapping[str, str] = field(repr=False)  # every other key of the section
    restore: BootstrapRestore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapSettings:
    """Section ``bootstrap``, used once, by the node that wins the initialisation."""

    dcs: Mapping[str, object]  # becomes the dynamic configuration; checked by check_bootstrap just before its use
    method: BootstrapMethod | None  # None: initdb
    initdb: tuple[ToolOption, ...]
    pg_hba: tuple[str, ...]
    post_bootstrap: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """One of ``postgresql.authentication``: who connects, and how. ``options`` are libpq keywords without secrets."""

    username: str | None
    password: str | None = field(repr=False)
    options: Mapping[str, str]  # sslmode, sslcert, gssencmode, channel_binding, ... exactly as libpq calls them
    sslpassword: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationSettings:
    """Section ``postgresql.authentication``. ``rewind`` is the superuser where it is not set."""

    superuser: ConnectionSettings
    replication: ConnectionSettings
    rewind: ConnectionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPostgresql:
    """Section ``postgresql`` of the local file, before the dynamic configuration is laid under it."""

    listen_addresses: tuple[str, ...]
    port: int
    connect_address: HostPort
    proxy_address: HostPort | None
    data_dir: str
    config_dir: str
    pgpass: str
    authentication: AuthenticationSettings
    values: Mapping[str, object] = field(repr=False)  # the checked section as it was written, for ``effective``


@dataclass(frozen=True, slots=True, kw_only=True)
class DcsSection:
    """The one section that names a store."""

    name: str
    section: Mapping[str, object] = field(repr=False)  # as it was written
    settings: object = field(repr=False)  # what the plugin is built with: what its schema made of the section


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSections:
    """Which plugins this node uses besides its store, and their sections under ``plugins``."""

    sections: Mapping[str, Mapping[str, object]] = field(repr=False)  # as they were written
    settings: Mapping[str, object] = field(repr=False)  # by name: what a plugin is built with, also where it has no section
    archive: str | None = None
    backup: Mapping[str, object] | None = None
    bootstrap: object = field(default=None, repr=False)  # what the plugin of ``bootstrap.method`` is built with
    routers: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Everything that one node's file and environment say."""

    name: str
    scope: str
    namespace: str
    restapi: RestApiSettings
    log: LogSettings
    ctl: CtlSettings
    tags: Tags
    watchdog: WatchdogSettings
    postgresql: LocalPostgresql
    bootstrap: BootstrapSettings | None  # None: this node never makes a new cluster
    guard: GuardSettings
    plugins: PluginSections
    dcs: DcsSection
