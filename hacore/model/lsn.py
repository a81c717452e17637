"""Positions in the write-ahead log."""

from typing import Self


class Lsn(int):
    """A byte position in the WAL (PostgreSQL documentation, ``pg_lsn``): an ``int`` that reads and prints as ``X/Y``."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``16/B374D848``.

        :raises ValueError: the text is not two hexadecimal numbers of at most 32 bits with a slash between.
        """
        high, slash, low = text.strip().partition("/")
        if not slash or not 1 <= len(high) <= 8 or not 1 <= len(low) <= 8:  # noqa: PLR2004 - eight hexadecimal digits are 32 bits
            msg = f"LSN {text!r} is not of the form X/Y"
            raise ValueError(msg)
        return cls((int(high, 16) << 32) + int(low, 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"
