"""The addresses of servers as people write them, made into one form: ``http://10.0.0.1:2379``."""

from urllib.parse import urlsplit

from hacore.convert import WrongValueError


def endpoint_of_host(host: str, *, scheme: str, port: int) -> str:
    """Return the endpoint of ``host``, ``host:port`` or a URL; an IPv6 address may stand in brackets or, without a port, alone.

    :raises WrongValueError: it is none of these.
    """
    if "://" in host:
        return endpoint_of_url(host, port=port)
    if host.startswith("["):
        has_port = host.rpartition("]")[2].startswith(":")
    elif host.count(":") > 1:
        host, has_port = f"[{host}]", False
    else:
        has_port = ":" in host
    return endpoint_of_url(f"{scheme}://{host}" if has_port else f"{scheme}://{host}:{port}", port=port)


def endpoint_of_url(url: str, *, port: int) -> str:
    """Return the endpoint of a URL, without its path.

    :raises WrongValueError: it is none of a web server.
    """
    parts = urlsplit(url)
    try:
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port
        is_one = False
    if not is_one:
        raise WrongValueError(f"host:port, or a URL that begins with http:// or https://, not {url!r}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or port}"
