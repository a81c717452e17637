"""What stands in the section ``haproxy``, checked and frozen. Without slots: the schema reads the defaults off the classes."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Site:
    """The part ``config``: a configuration of HAProxy that the plugin writes and keeps in step with the members."""

    path: str
    template: str | None = None  # file; ``None``: the plugin's own
    check_command: tuple[str, ...] = ("haproxy", "-c", "-f", "{file}")  # ``{file}``: what is to be checked
    reload_command: tuple[str, ...] = ()  # empty: by the master's socket
    server_state_file: str = ""
    hold_script: str = ""
    primary_bind: str = ":5000"
    standby_bind: str = ":5001"
    rest_port: int | None = 8008  # of every member, for HAProxy's own checks; ``None``: no checks
    check_options: str = ""  # words for each server's line: TLS of the REST server
    socket_options: str = "mode 660 level admin"
    max_connections: int = 1000  # of the whole proxy
    max_server_connections: int = 100  # to one server; more wait
    connect_timeout_s: float = 2.0
    idle_timeout_s: float = 86400.0
    hold_limit_s: float = 10.0  # the longest time that a new connection waits for a server


@dataclass(frozen=True, kw_only=True)
class HaproxySettings:
    """Settings of the HAProxy router."""

    stats_sockets: tuple[str, ...]  # paths, or ``host:port``
    master_socket: str | None = None
    primary_backend: str = "hacore_primary"
    standby_backend: str | None = "hacore_standbys"
    reads_from_leader: str = "alone"  # never; alone: while no standby answers; always
    hold: bool = False  # new connections wait while the primary's backend has no server, instead of being refused
    drain_wait_s: float = 1.0  # how long sessions may go on, once new ones are held
    drain_sessions: str = "leave"  # then: leave them to the server's stop, or cut
    timeout_s: float = 2.0  # of one exchange with a proxy
    config: Site | None = None
