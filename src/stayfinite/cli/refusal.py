"""The line that says why a command cannot do what was asked."""

from __future__ import annotations

import sys

from stayfinite.files import limits

USAGE = 2


def refuse(text: str) -> int:
    """Print `text` as one line on standard error; returns the exit code."""
    # Imported here, because `stayfinite run` does not need it.
    from stayfinite.report.lines import clean_name

    # It may hold names of files, and parts of an untrusted file.
    half = limits.MESSAGE // 2
    shown = text if len(text) <= limits.MESSAGE else f"{text[:half]} ... {text[-half:]}"
    print(f"stayfinite: {clean_name(shown)}", file=sys.stderr)
    return USAGE
