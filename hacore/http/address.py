"""The addresses of servers as people write them, made into one form: ``http://10.0.0.1:2379``."""

from urllib.parse import urlsplit


def endpoint_of_host(host: str, *, scheme: str, port: int) -> str:
    """Return the endpoint of ``host``, ``host:port`` or a URL; an IPv6 address may stand in brackets or, without a port, alone."""
    if "://" in host:
        return endpoint_of_url(host, port=port)
    if host.startswith("["):
        has_port = host.rpartition("]")[2].startswith(":")
    elif host.count(":") > 1:
        host, has_port = f"[{host}]", False
    else:
        has_port = ":" in host
    return f"{scheme}://{host}" if has_port else f"{scheme}://{host}:{port}"


def endpoint_of_url(url: str, *, port: int) -> str:
    """Return the endpoint of a URL, without its path."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or port}"
