"""What a client encrypts with, read from the files that a section of the configuration names. What is wrong is said of one of them.

The library says neither which of its files it could not use nor, of a key, why. An agent runs for longer than a certificate is good for, so
whoever renews one writes the files anew: they are read again for the next connection.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hacore.errors import ConfigError

_MISMATCH: Final = "KEY_VALUES_MISMATCH"
logger = logging.getLogger(__name__)


class NamesFiles(Protocol):
    """Settings of a section with the usual three keys."""

    @property
    def cacert(self) -> str | None:
        """Return a path."""

    @property
    def cert(self) -> str | None:
        """Return a path."""

    @property
    def key(self) -> str | None:
        """Return a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pem:
    """A file in PEM."""

    said: str  # how it is shown to a person: ``consul.cacert: /etc/consul/ca.crt``
    path: str

    @classmethod
    def of(cls, section: str, key: str, path: str | None) -> "Pem | None":
        """Return the file that a key of a section names, if it names one."""
        return None if path is None else cls(said=f"{section}.{key}: {path}", path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a client needs of files."""

    cacert: Pem | None = None  # authorities that sign the servers' certificates; ``None``: the machine's own
    cert: Pem | None = None  # our certificate, where the servers want one
    key: Pem | None = None  # its key; ``None``: it is in the same file

    @classmethod
    def of(cls, section: str, settings: NamesFiles) -> "TlsFiles":
        """Return the files that a section names."""
        return cls(
            cacert=Pem.of(section, "cacert", settings.cacert),
            cert=Pem.of(section, "cert", settings.cert),
            key=Pem.of(section, "key", settings.key),
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return where they are."""
        return tuple(Path(pem.path) for pem in (self.cacert, self.cert, self.key) if pem is not None)


class Encryption:
    """What encrypts the connections of a client. May be shared by threads.

    :param build: makes it of the files; raises ConfigError where they cannot be used.
    :param files: which, when they have changed, make it build again.
    """

    def __init__(self, build: Callable[[], ssl.SSLContext], files: Iterable[Path]) -> None:
        self._build = build
        self._files = tuple(files)
        self._mutex = threading.Lock()
        self._seen = self._look()  # before they are read: a change in between is seen with the next connection
        self._context = build()

    @classmethod
    def of(cls, files: TlsFiles, *, verify: bool = True) -> "Encryption":
        """Build it of files; see :func:`client_tls`."""
        return cls(lambda: client_tls(files, verify=verify), files.paths)

    def context(self) -> ssl.SSLContext:
        """Return what encrypts the next connection."""
        with self._mutex:
            seen = self._look()
            if seen != self._seen:
                try:
                    self._context, self._seen = self._build(), seen
                except (ConfigError, OSError) as error:  # one of them may still have to be written: the next connection looks again
                    logger.warning("certificates that have changed cannot be used", extra={"error": str(error)})
            return self._context

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_version(file) for file in self._files)


def client_tls(files: TlsFiles, *, password: str | None = None, verify: bool = True) -> ssl.SSLContext:
    """Build what encrypts connections.

    :param password: that opens the key; nobody is there to be asked for it.
    :param verify: the servers' certificates.
    :raises ConfigError: which file is not as it should be, and what is wanted in its place.
    """
    cacert = files.cacert
    if cacert is not None:
        _see_readable(cacert)
    try:
        context = ssl.create_default_context(cafile=None if cacert is None else cacert.path)
    except OSError as error:
        raise _not_usable(cacert, "no certificate in it", "the authorities' certificates in PEM") from error
    if files.cert is not None:
        load_identity(context, files.cert, files.key, password)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def load_authorities(context: ssl.SSLContext, cacert: Pem) -> None:
    """Trust the authorities in a file.

    :raises ConfigError: it cannot be used.
    """
    _see_readable(cacert)
    try:
        context.load_verify_locations(cacert.path)
    except OSError as error:
        raise _not_usable(cacert, "no certificate in it", "the authorities' certificates in PEM") from error


def load_identity(context: ssl.SSLContext, cert: Pem, key: Pem | None, password: str | None) -> None:
    """Bring a certificate of one's own.

    :param key: ``None``: it is in the same file.
    :param password: that opens the key; nobody is there to be asked for it.
    :raises ConfigError: which file is not as it should be, and what is wanted in its place.
    """
    key = key or cert
    for pem in (cert, key):
        _see_readable(pem)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert.path)  # to see that there is a certificate
    except OSError as error:
        raise _not_usable(cert, "no certificate in it", "a certificate in PEM") from error
    try:
        context.load_cert_chain(cert.path, key.path, password=lambda: password or "")
    except (OSError, ValueError) as error:  # the latter: a password that is too long
        if isinstance(error, ssl.SSLError) and error.reason == _MISMATCH:
            raise _not_usable(key, "the key of another certificate", f"that of {cert.path}") from error
        wanted = "its key in PEM, which the password opens" if password else "its key in PEM, without a password"
        raise _not_usable(key, "no key in it that can be read", wanted) from error


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _see_readable(pem: Pem) -> None:
    try:
        with Path(pem.path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(f"{pem.said}: {error.strerror}, want a file that this user may read") from error


def _not_usable(pem: Pem | None, found: str, wanted: str) -> ConfigError:
    where = "the machine's own authorities" if pem is None else pem.said
    return ConfigError(f"{where}: {found}, want {wanted}")
