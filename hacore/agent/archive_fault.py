"""Why the WAL of a primary does not reach its archive, once that lasts: for people, in words that stay as they are."""

from typing import Final

_CHARS: Final = 300
_KEPT: Final = "WAL is kept: "


class LastingFault:
    """Asked at each look. One bad moment of an archive is no fault; every change of the words would be written to the store."""

    def __init__(self) -> None:
        self._words: str | None = None
        self._was_failing = False

    def look(self, *, held: str | None = None, failed: str | None = None, is_final: bool = False) -> str | None:
        """Return the fault; ``None``: there is none, or not for long enough.

        :param held: why nothing may be pushed.
        :param failed: what the last push said, where it failed.
        :param is_final: it will not pass by itself.
        """
        is_failing = held is not None or failed is not None
        lasts, self._was_failing = self._was_failing or is_final, is_failing
        if not is_failing:
            self._words = None
        elif held is not None:
            self._words = f"{_KEPT}{held}"[:_CHARS] if lasts else None
        elif self._words is None or self._words.startswith(_KEPT):
            self._words = (failed or "")[:_CHARS] if lasts else None
        return self._words
