"""The answer that is written at the top of a case: the TOML between `# /// zoo` and `# ///`."""

from __future__ import annotations

import tomllib
from typing import Any

BEGIN, END = "# /// zoo", "# ///"
MARK = "# at fault"


class BadHeader(ValueError):
    """A file of the zoo that cannot be scored; the message is one line and names the file."""


def read_header(text: str, name: str) -> dict[str, Any] | None:
    """The table at the top of a script, or None where there is none.

    Raises:
        BadHeader: it does not end, has a line that is no comment, or is no TOML.
    """
    lines = [line.rstrip() for line in text.splitlines()]
    if BEGIN not in lines:
        return None
    first = lines.index(BEGIN) + 1
    if END not in lines[first:]:
        raise BadHeader(f"{name}: the header is not closed: add a line {END!r} after it")
    inside = lines[first : lines.index(END, first)]
    for line in inside:
        if not line.startswith("#"):
            raise BadHeader(f"{name}: a line of the header does not start with '#': {line!r}")
    try:
        return tomllib.loads("\n".join(line[1:].removeprefix(" ") for line in inside))
    except tomllib.TOMLDecodeError as error:
        raise BadHeader(f"{name}: the header is no TOML: {error}") from None


def marked_line(text: str, name: str) -> int | None:
    """The number of the line that ends in the mark, counted from 1; None if no line does.

    Raises:
        BadHeader: several lines do.
    """
    marked = [
        number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith(MARK)
    ]
    if len(marked) > 1:
        raise BadHeader(f"{name}: expected one line with {MARK!r}, received lines {marked}")
    return marked[0] if marked else None
