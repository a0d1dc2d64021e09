"""Untrusted text, without characters that control a terminal or a browser."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """`text` with every control character replaced by `?`, one for one.

    An incident may be untrusted: its names and source lines must not move the
    cursor (C0, C1), reorder the line (bidirectional controls) or fail to encode (surrogates).
    Zero-width joiners and other harmless format characters stay.
    """
    if text.isascii() and text.isprintable():
        return text  # most names, of which a file may have 100,000
    return "".join("?" if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    if char in "\t\n":
        return False
    category = unicodedata.category(char)
    return (
        category in ("Cc", "Cs", "Zl", "Zp")
        or "\u202a" <= char <= "\u202e"
        or "\u2066" <= char <= "\u2069"
        or char in "\u200e\u200f\u061c"
    )
