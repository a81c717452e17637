"""What an object of the storage has in it: compressed, and sealed where a key is set.

The name of a method gives only the extension: Python has no lz4, zstd or brotli. The seal keeps out who has another key, and notices a
change; it is no cryptography to trust anything to.
"""

import hashlib
import hmac
import os
import zlib
from pathlib import Path
from typing import Final

from hacore.testing.walg.settings import Settings, WalgError

_EXTENSIONS: Final = {"lz4": ".lz4", "zstd": ".zst", "lzma": ".lzma", "brotli": ".br", "none": ""}
EXTENSIONS: Final = tuple(_EXTENSIONS.values())
_KEYS: Final = ("WALG_LIBSODIUM_KEY", "WALG_PGP_KEY")
_SEAL: Final = b"hacore-sealed\n"
_NONCE_BYTES: Final = 16
_TAG_BYTES: Final = 32


def extension(settings: Settings) -> str:
    """Return the end of the names of new objects."""
    method = settings.get("WALG_COMPRESSION_METHOD") or "lz4"
    if method not in _EXTENSIONS:
        raise WalgError(f"unknown compression method: '{method}'")
    return _EXTENSIONS[method]


def encode(content: bytes, settings: Settings) -> bytes:
    """Return what is stored."""
    ending = extension(settings)
    if ending == ".lzma":
        import lzma  # noqa: PLC0415 - only where it is used

        content = lzma.compress(content, preset=0)
    elif ending:
        content = zlib.compress(content, 1)
    key = _key(settings)
    return _sealed(content, key) if key else content


def decode(stored: bytes, ending: str, settings: Settings) -> bytes:
    """Return what an object whose name ends in ``ending`` has in it.

    :raises WalgError: it is cut short, or sealed with another key.
    """
    key = _key(settings)
    content = _opened(stored, key) if key else stored
    if ending == ".lzma":
        import lzma  # noqa: PLC0415 - only where it is used

        try:
            return lzma.decompress(content)
        except lzma.LZMAError as error:
            raise WalgError(f"decompress: {error}") from error
    return _inflated(content) if ending else content


def _inflated(content: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(content)
    except zlib.error as error:
        raise WalgError(f"decompress: {error}") from error
    if not inflater.eof:
        raise WalgError("decompress: unexpected EOF")
    return found


def _key(settings: Settings) -> bytes:
    for name in _KEYS:
        if settings.get(name):
            return settings[name].encode()
        if path := settings.get(f"{name}_PATH"):
            try:
                return Path(path).read_bytes().strip()
            except OSError as error:
                raise WalgError(f"{name}_PATH: {path}: {error.strerror}") from error
    return b""


def _sealed(content: bytes, key: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    hidden = _mixed(content, key + nonce)
    return _SEAL + nonce + hmac.digest(key, nonce + hidden, "sha256") + hidden


def _opened(stored: bytes, key: bytes) -> bytes:
    if not stored.startswith(_SEAL):
        raise WalgError("decrypt: not encrypted, or not with such a key")
    nonce, rest = stored[len(_SEAL) :][:_NONCE_BYTES], stored[len(_SEAL) + _NONCE_BYTES :]
    tag, hidden = rest[:_TAG_BYTES], rest[_TAG_BYTES:]
    if not hmac.compare_digest(tag, hmac.digest(key, nonce + hidden, "sha256")):
        raise WalgError("decrypt: message authentication failed")
    return _mixed(hidden, key + nonce)


def _mixed(content: bytes, seed: bytes) -> bytes:
    stream = hashlib.shake_256(seed).digest(len(content))
    return (int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(content), "big")
