"""Settings from the environment: ``PATRONI_*``, and the same names with ``HACORE_``, which win.

It knows which variable stands for which key and how its text is read; what a key means is the schemas' business.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hacore.config.document import parse_value
from hacore.config.fault import ConfigFaultsError, Fault, Path, Place, nearest

PREFIXES: Final = ("PATRONI_", "HACORE_")  # the later wins
WHOLE: Final = "CONFIGURATION"  # holds the whole configuration; no other variable counts beside it
_FILE: Final = "environment"
_TOOLS: Final = ("pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind")
_SIMPLE: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("name", "namespace", "scope"),
    "restapi": ("listen", "connect_address", "certfile", "keyfile", "keyfile_password", "cafile", "ciphers", "verify_client"),
    "ctl": ("cacert", "certfile", "keyfile", "keyfile_password"),
    "postgresql": ("listen", "connect_address", "proxy_address", "config_dir", "data_dir", "pgpass", "bin_dir"),
    "log": ("type", "level", "traceback_level", "dateformat", "dir"),
    "guard": ("state_dir",),
}
_TYPED: Final[Mapping[tuple[str, str], str]] = {
    ("", "thread_pool_size"): "scalar",
    ("", "thread_stack_size"): "scalar",
    ("restapi", "http_extra_headers"): "map",
    ("restapi", "https_extra_headers"): "map",
    ("restapi", "allowlist"): "list",
    ("restapi", "allowlist_include_members"): "scalar",
    ("restapi", "request_queue_size"): "scalar",
    ("restapi", "thread_pool_size"): "scalar",
    ("restapi", "server_tokens"): "text",
    ("ctl", "insecure"): "scalar",
    ("log", "format"): "format",
    ("log", "static_fields"): "map",
    ("log", "max_queue_size"): "scalar",
    ("log", "mode"): "text",
    ("log", "file_size"): "scalar",
    ("log", "file_num"): "scalar",
    ("log", "loggers"): "map",
    ("log", "deduplicate_heartbeat_logs"): "scalar",
    ("guard", "margin"): "scalar",
    ("guard", "budget"): "scalar",
    ("citus", "group"): "scalar",
    ("citus", "database"): "text",
}
_CONNECTION: Final = (
    "username", "password", "sslmode", "sslkey", "sslpassword", "sslcert", "sslrootcert", "sslcrl", "sslcrldir", "sslnegotiation",
    "gssencmode", "channel_binding",
)  # fmt: skip
_RAFT: Final[Mapping[str, str]] = {
    "self_addr": "text",
    "bind_addr": "text",
    "partner_addrs": "list",
    "data_dir": "text",
    "password": "text",
}
_STORE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("host", "protocol", "srv", "srv_suffix", "url", "proxy", "cacert", "cert", "key", "token", "dc", "consistency",
         "service_check_interval", "service_check_tls_server_name", "namespace", "context", "scope_label", "role_label", "pod_ip",
         "key_password", "leader_label_value", "follower_label_value", "standby_leader_label_value", "tmp_role_label", "username",
         "password", "path"),
        "text",
    ),
    **dict.fromkeys(("hosts", "ports", "checks", "service_tags", "retriable_http_codes"), "list"),
    **dict.fromkeys(("labels", "set_acls", "auth_data", "bootstrap_labels"), "map"),
    **dict.fromkeys(("port", "use_proxies", "verify", "register_service", "use_endpoints", "bypass_api_service", "use_ssl"), "scalar"),
}  # fmt: skip
_OLD_NAMES: Final[Mapping[str, tuple[Path, str]]] = {
    "LOGLEVEL": (("log", "level"), "text"),
    "LOGFORMAT": (("log", "format"), "format"),
    "LOG_DATEFMT": (("log", "dateformat"), "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the variables say: the values by key path, the variable of each, and what could not be read."""

    values: Mapping[Path, Any] = field(default_factory=dict)
    places: Mapping[Path, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def whole_configuration(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the name and the text of the variable that holds a whole configuration."""
    names = [prefix + WHOLE for prefix in reversed(PREFIXES)]
    return next(((name, environ[name]) for name in names if environ.get(name, "").strip()), None)


def known_variables(stores: Iterable[str]) -> dict[str, tuple[Path, str]]:
    """Return each variable without its prefix, with the key path that it sets and how its text is read."""
    known: dict[str, tuple[Path, str]] = {name.upper(): ((name,), "text") for name in _SIMPLE[""]}
    for section, keys in _SIMPLE.items():
        known |= {f"{section}_{key}".upper(): ((section, key), "text") for key in keys if section}
    for (section, key), kind in _TYPED.items():
        known["_".join(filter(None, (section, key))).upper()] = (tuple(filter(None, (section, key))), kind)
    for section in ("restapi", "ctl"):
        known |= {f"{section}_{key}".upper(): ((section, "authentication", key), "text") for key in ("username", "password")}
    known |= {f"POSTGRESQL_BIN_{tool.upper()}": (("postgresql", "bin_name", tool), "text") for tool in _TOOLS}
    for role in ("superuser", "replication", "rewind"):
        known |= {f"{role}_{key}".upper(): (("postgresql", "authentication", role, key), "text") for key in _CONNECTION}
    for store in stores:
        typed = _RAFT if store == "raft" else _STORE
        known |= {f"{store}_{key}".upper(): ((store, key), kind) for key, kind in typed.items()}
    return {**known, **_OLD_NAMES}


def read(environ: Mapping[str, str], stores: Iterable[str]) -> Environment:
    """Read all variables that set a key. One that is empty counts as not set."""
    known = known_variables(stores)
    values: dict[Path, Any] = {}
    places: dict[Path, Place] = {}
    faults: list[Fault] = []
    for name, suffix in _ours(environ):
        if suffix not in known:
            continue
        path, kind = known[suffix]
        try:
            values[path] = _READERS[kind](environ[name], name)
            places[path] = Place(f"{_FILE} {name}", None)
        except ConfigFaultsError as error:
            faults.extend(Fault(file=_FILE, line=None, path=name, found=None, wanted=fault.wanted) for fault in error.faults)
    return Environment(values=values, places=places, faults=tuple(faults), warnings=tuple(_misspelt(environ, known)))


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for prefix in PREFIXES:
        names = [name for name in environ if name.startswith(prefix) and environ[name].strip()]
        # Old names come first, so that the new ones overwrite them.
        suffixes = sorted((name.removeprefix(prefix) for name in names), key=lambda suffix: (suffix not in _OLD_NAMES, suffix))
        yield from ((prefix + suffix, suffix) for suffix in suffixes)


def _misspelt(environ: Mapping[str, str], known: Mapping[str, object]) -> Iterator[Fault]:
    for name, suffix in _ours(environ):
        # Other programs may use these prefixes too (Kubernetes makes one up for each service): only a near miss is worth a word.
        close = None if suffix in known or suffix == WHOLE else nearest(suffix, known)
        if close is not None:
            prefix = name.removesuffix(suffix)
            yield Fault(file=_FILE, line=None, path=name, found=None, wanted="no key has this variable", suggestion=prefix + close)


def _text(text: str, _name: str) -> object:
    return text


def _scalar(text: str, name: str) -> object:
    return parse_value(text, name)


def _list(text: str, name: str) -> object:
    stripped = text.strip()
    found = parse_value(stripped if stripped[0] in "[-" else f"[{stripped}]", name)
    return found if isinstance(found, list) else [found]


def _map(text: str, name: str) -> object:
    stripped = text.strip()
    return parse_value(stripped if stripped.startswith("{") or "\n" in stripped else f"{{{stripped}}}", name)


def _format(text: str, name: str) -> object:
    return text if "%(" in text else _list(text, name)


_READERS: Final[Mapping[str, Callable[[str, str], object]]] = {
    "text": _text,
    "scalar": _scalar,
    "list": _list,
    "map": _map,
    "format": _format,
}
