"""Where the API servers are and what lets us in: the service account of a pod, or a kubeconfig.

The token of a service account is a file that is written anew every now and then; it is read again when it may have changed.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hacore.errors import ConfigError
from hacore.http.certificates import Encryption, Pem, TlsFiles, client_tls
from hacore.model.clock import Clock, Instant
from hacore_dcs_kubernetes.settings import KubernetesSettings

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVICE_NAME: Final = "kubernetes.default.svc"  # stands in the certificate of every API server
_FRESH_S: Final = 30.0


class Token:
    """What a request says of us: a text, or a file that is read again."""

    def __init__(self, text: str | None, file: Path | None, clock: Clock) -> None:
        self._text = text
        self._file = file
        self._clock = clock
        self._read_at: Instant | None = None

    def headers(self) -> dict[str, str]:
        """Return the header that carries it.

        :raises OSError: the file cannot be read.
        """
        now = self._clock.now()
        if self._file is not None and (self._read_at is None or now - self._read_at >= _FRESH_S):
            self._text, self._read_at = self._file.read_text().strip(), now
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Read the file again, for a server did not take what was sent; tell whether there is something else now.

        Several threads ask with one token: another may have read it since.
        """
        self._read_at = None
        return self.headers() not in ({}, refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The servers, and how to be let in."""

    servers: tuple[str, ...]
    tls: Encryption | None
    token: Token
    server_name: str | None = None  # that the certificates are for, where it is not the host's


def find_access(settings: KubernetesSettings, clock: Clock, *, account: Path = SERVICE_ACCOUNT) -> Access:
    """Find out where we are: what the settings name, else the pod's service account, else the user's kubeconfig.

    :raises ConfigError: there is nothing, or it is not usable.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    named = settings.kubeconfig is not None or settings.context is not None
    try:
        if host and not named and (account / "token").exists():
            server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
            authority = _authority(settings) or Pem.of("kubernetes", "service account", str(account / "ca.crt"))
            tls = Encryption.of(TlsFiles(cacert=authority))
            return _chosen(
                settings, Access(servers=(server,), tls=tls, token=Token(None, account / "token", clock), server_name=SERVICE_NAME)
            )
        return _chosen(settings, _from_kubeconfig(settings, clock))
    except OSError as error:
        raise ConfigError(f"kubernetes: {error}, want a service account or a kubeconfig with certificates in PEM") from error


def _chosen(settings: KubernetesSettings, found: Access) -> Access:
    servers = settings.api_servers or found.servers
    return Access(servers=servers, tls=found.tls, token=found.token, server_name=found.server_name)


def _from_kubeconfig(settings: KubernetesSettings, clock: Clock) -> Access:
    path = Path(settings.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    cluster, user = _read(settings, path)
    unusable = [key for key in ("exec", "auth-provider", "username") if key in user]
    if unusable:
        raise ConfigError(f"kubernetes: {path}: {unusable[0]} of the user, want a token, a tokenFile or a client certificate")
    file = user.get("tokenFile")
    token = Token(user.get("token"), path.parent / file if file else None, clock)
    servers, server_name = (str(cluster["server"]).rstrip("/"),), cluster.get("tls-server-name")
    return Access(servers=servers, tls=_tls_of(settings, cluster, user, path), token=token, server_name=server_name)


def _read(settings: KubernetesSettings, path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return cluster and user of a kubeconfig."""
    import yaml  # noqa: PLC0415 - in a pod it is not needed

    try:
        document = yaml.safe_load(path.read_text())
        context = _named(document, "context", settings.context or document["current-context"])
        cluster, user = _named(document, "cluster", context["cluster"]), _named(document, "user", context["user"])
        cluster["server"]
    except (yaml.YAMLError, KeyError, TypeError, LookupError) as error:
        raise ConfigError(
            f"kubernetes: {path}: {error!r}, want a kubeconfig with a current context or the one that context names"
        ) from error
    return cluster, user


def _named(document: Mapping[str, Any], kind: str, name: object) -> Mapping[str, Any]:
    found = next((one for one in document.get(f"{kind}s") or () if one.get("name") == name), None)
    if found is None:
        raise LookupError(f"no {kind} called {name}")
    inner: Mapping[str, Any] = found.get(kind) or {}
    return inner


def _tls_of(settings: KubernetesSettings, cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> Encryption | None:
    if not str(cluster["server"]).startswith("https") and not settings.api_servers:
        return None
    if cluster.get("insecure-skip-tls-verify"):
        raise ConfigError("kubernetes: insecure-skip-tls-verify: servers are always verified, want certificate-authority")
    named = [found.get(key) for found, key in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key"))]
    files = [path, *(path.parent / name for name in named if name), *([] if settings.cacert is None else [Path(settings.cacert)])]
    return Encryption(lambda: _context(settings, *_read(settings, path), path), files)


def _context(settings: KubernetesSettings, cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> ssl.SSLContext:
    with ExitStack() as stack:
        authority = _authority(settings) or _file(cluster, "certificate-authority", path, stack)
        certificate, key = (_file(user, name, path, stack) for name in ("client-certificate", "client-key"))
        return client_tls(TlsFiles(cacert=authority, cert=certificate, key=key))


def _authority(settings: KubernetesSettings) -> Pem | None:
    return Pem.of("kubernetes", "cacert", settings.cacert)


def _file(found: Mapping[str, Any], key: str, kubeconfig: Path, stack: ExitStack) -> Pem | None:
    """Return the file that a key names; what stands in the kubeconfig itself is a file only while it is read."""
    inline, named = found.get(f"{key}-data"), found.get(key)
    if inline is None:
        return Pem.of(f"kubernetes: {kubeconfig}", key, str(kubeconfig.parent / named) if named else None)
    said = f"kubernetes: {kubeconfig}.{key}-data"
    held = stack.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - readable by its owner alone, until the stack ends
    try:
        held.write(base64.b64decode(inline))
    except ValueError as error:
        raise ConfigError(f"{said}: not in base64, want a file in PEM, in base64") from error
    held.flush()
    return Pem(said=said, path=held.name)
