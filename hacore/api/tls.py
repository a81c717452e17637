"""The server's side of TLS: a context from the configuration, made again when the certificate has changed."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.config.settings import RestApiSettings
from hacore.errors import ConfigError
from hacore.http.certificates import Pem, load_authorities, load_identity

_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a context was made of. Another one means another context."""

    settings: tuple[str | None, ...]
    certificate: str  # a new one has another serial number, and with it another text


def identity(settings: RestApiSettings) -> Identity | None:
    """Return what the context would be made of now; ``None``: no TLS.

    :raises OSError: the certificate cannot be read.
    """
    if settings.certfile is None:
        return None
    options = (settings.certfile, settings.keyfile, settings.keyfile_password, settings.cafile, settings.ciphers, settings.verify_client)
    return Identity(settings=options, certificate=_first_certificate(settings.certfile))


def context(settings: RestApiSettings) -> ssl.SSLContext:
    """Make a context.

    :raises ConfigError: certificate, key, CA or ciphers are no good.
    """
    cert, key, cafile = (Pem.of("restapi", name, getattr(settings, name) or None) for name in ("certfile", "keyfile", "cafile"))
    if cert is None:
        raise ConfigError("restapi.certfile: no certificate is named")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    load_identity(made, cert, key, settings.keyfile_password)
    if cafile is not None:
        load_authorities(made, cafile)
    try:
        if settings.ciphers:
            made.set_ciphers(settings.ciphers)
    except ssl.SSLError as error:
        raise ConfigError(f"restapi.ciphers: {settings.ciphers}: no cipher by that name, want a list of OpenSSL's") from error
    made.verify_mode = _VERIFY[settings.verify_client]
    return made


def _first_certificate(path: str) -> str:
    text = Path(path).read_text(encoding="ascii", errors="replace")
    _, begin, rest = text.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        raise FileNotFoundError(f"{path}: there is no certificate in it")
    return body
