"""Texts that somebody else wrote, a plugin or its tool, cut where they come in: each is logged, shown and kept, and room is limited."""

from typing import Final

TEXT_CHARS: Final = 500


def short(said: object) -> str:
    """Return at most the first ``TEXT_CHARS`` characters; what is no text is written as one."""
    text = str(said)
    return text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 3]}..."
