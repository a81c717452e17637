"""The messages between the guard and its clients: one JSON object per packet of a Unix socket.

A request is ``{"id": n, "op": name, ...}``, its answer ``{"id": n, "ok": {...}}``, ``{"id": n, "refused": reason}`` or
``{"id": n, "error": text}``. Does not know what the operations do.
"""

import json
from collections.abc import Mapping
from typing import Final

MAX_BYTES: Final = 200_000  # what fits into one packet with the kernel's default buffers

Message = dict[str, object]


class WireError(ValueError):
    """Bytes or fields that are not what the protocol says."""


def encode(message: Mapping[str, object]) -> bytes:
    """The packet of a message.

    :raises WireError: it is too long for one packet.
    """
    packet = json.dumps(message, separators=(",", ":")).encode()
    if len(packet) > MAX_BYTES:
        raise WireError(f"message of {len(packet)} bytes, at most {MAX_BYTES} fit")
    return packet


def decode(packet: bytes) -> Message:
    """The message of a packet.

    :raises WireError: it is no JSON object.
    """
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise WireError(f"no JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError("not an object")
    return message


def integer(message: Message, field: str) -> int:
    """A field that has to be an integer."""
    value = message.get(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(f"{field}: want an integer")
    return value


def optional_integer(message: Message, field: str) -> int | None:
    """A field that is an integer or null."""
    return None if message.get(field) is None else integer(message, field)


def text(message: Message, field: str) -> str:
    """A field that has to be a string without a zero byte, which no program's argument can hold."""
    value = message.get(field)
    if not isinstance(value, str) or "\0" in value:
        raise WireError(f"{field}: want a string")
    return value


def flag(message: Message, field: str) -> bool:
    """A field that has to be true or false."""
    value = message.get(field)
    if not isinstance(value, bool):
        raise WireError(f"{field}: want true or false")
    return value


def texts(message: Message, field: str) -> list[str]:
    """A field that has to be a list of strings with at least one."""
    values = message.get(field)
    if not isinstance(values, list) or not values:
        raise WireError(f"{field}: want a list of strings")
    return [text({field: value}, field) for value in values]


def environment(message: Message, field: str) -> dict[str, str]:
    """A field that has to be an environment: names, which hold no equals sign, and values."""
    values = message.get(field)
    if not isinstance(values, dict):
        raise WireError(f"{field}: want an object of strings")
    if any("=" in name or not name for name in values):
        raise WireError(f"{field}: want names of variables")
    return {text({field: name}, field): text({field: value}, field) for name, value in values.items()}
