"""What stands in the section ``etcd3``, checked and frozen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings:
    """Settings of the etcd store."""

    endpoints: tuple[str, ...] = ()  # ``http://10.0.0.1:2379``
    srv: str | None = None  # domain whose SRV records say where the members are
    srv_suffix: str | None = None
    srv_nameserver: tuple[str, int] | None = None  # whom to ask; ``None``: the machine's own
    discover: bool = True  # ask the cluster for all its members
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cacert: str | None = None  # file; ``None`` with https: the machine's own authorities
    cert: str | None = None  # file: our certificate, where the server wants one
    key: str | None = None  # file: its key, where it is not in the same file
