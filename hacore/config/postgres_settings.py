"""What ``hacore.postgres`` works with: the local section over the dynamic one, as one frozen value.

It does not know which of the two a value came from; ``explain`` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.config.address import HostPort
from hacore.config.settings import AuthenticationSettings, ToolOption

METHOD_FLAGS: Final = ("no_params", "no_leader", "keep_data")  # the core's own keys in the section of a replica method


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettings:
    """Section ``postgresql.callbacks``: a command line for each event, or ``None``."""

    on_start: str | None = None
    on_stop: str | None = None
    on_restart: str | None = None
    on_reload: str | None = None
    on_role_change: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMethod:
    """The section of one name in ``create_replica_methods``. Without ``command`` the name is that of a plugin."""

    name: str
    command: str | None
    no_params: bool
    no_leader: bool
    keep_data: bool
    options: Mapping[str, str] = field(repr=False)  # every key of the section but ``command``, in its order


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """Everything about one PostgreSQL server that a person may set."""

    name: str  # the member's name: application_name, and with it the slot's name
    scope: str
    listen_addresses: tuple[str, ...]
    port: int
    connect_address: HostPort
    proxy_address: HostPort | None
    data_dir: str
    config_dir: str
    config_base_name: str
    bin_dir: str | None
    bin_name: Mapping[str, str]
    database: str
    pgpass: str
    krbsrvname: str | None
    authentication: AuthenticationSettings
    callbacks: CallbackSettings
    create_replica_methods: tuple[str, ...]
    methods: Mapping[str, ReplicaMethod]
    basebackup: tuple[ToolOption, ...]
    recovery_conf: Mapping[str, str]
    custom_conf: str | None
    parameters: Mapping[str, str]  # lower-case names; without those in ``controlled_parameters``
    controlled_parameters: Mapping[str, str]  # the same on every member; also listen_addresses, port, cluster_name
    pg_hba: tuple[str, ...] | None  # None: the file is left alone
    pg_ident: tuple[str, ...] | None
    use_unix_socket: bool
    pg_ctl_timeout_s: float
    pre_promote: str | None
    before_stop: str | None
