"""Texts of others are cut."""

import pytest

from hacore.model.text import TEXT_CHARS, short


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("x" * TEXT_CHARS, "x" * TEXT_CHARS),
        ("x" * (TEXT_CHARS + 1), f"{'x' * (TEXT_CHARS - 3)}..."),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_a_text_is_kept_as_it_is_until_it_is_too_long(said: object, kept: str) -> None:
    assert short(said) == kept
