"""The templates of a room, with all text cleaned and escaped."""

from __future__ import annotations

import functools

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from stayfinite.pages.clean import clean

# Characters of a text; a longer one is cut, so that a page stays small whatever it is about.
LONGEST = 4000


@functools.cache
def environment(package: str) -> Environment:
    """The templates of `package`, which may extend those of this room.

    A string that a template prints is cleaned and escaped; only `Markup` is printed as it is.
    """
    loaders = [PackageLoader(package), PackageLoader("stayfinite.pages")]
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        finalize=_cleaned,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["prose"] = prose
    return made


def prose(text: str) -> Markup:
    """A sentence as HTML: names in backticks become code."""
    text = _shortened(text)
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick of the user's own
        return escape(text)
    pieces = [
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    ]
    return Markup("").join(pieces)


def _cleaned(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return _shortened(value)
    return value


def _shortened(text: str) -> str:
    return clean(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")
