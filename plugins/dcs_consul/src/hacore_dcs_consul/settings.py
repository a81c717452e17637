"""What stands in the section ``consul``, checked and frozen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulSettings:
    """Settings of the Consul store."""

    endpoints: tuple[str, ...]  # ``http://127.0.0.1:8500``: this machine's agent, then those that are asked in its place
    token: str | None = field(default=None, repr=False)
    verify: bool = True  # the agents' certificates, with https
    cacert: str | None = None  # file; ``None`` with https: the machine's own authorities
    cert: str | None = None  # file: our certificate, where the agent wants one
    key: str | None = None  # file: its key, where it is not in the same file
    dc: str | None = None  # ``None``: the agent's
    consistency: str = "default"  # ``stale``: any server answers the watch; what the loop decides on is always consistent
    checks: tuple[str, ...] = ()  # checks of the node that end the session when they fail
    register_service: bool = False
    service_tags: tuple[str, ...] = ()
    service_check_interval: str = "5s"
    service_check_tls_server_name: str | None = None
