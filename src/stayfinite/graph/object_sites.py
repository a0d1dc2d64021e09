"""Where the user's code created an object of a library, and last set its learning rate.

`frameworks.keras.creation` fills this store while a script runs. Its references are weak, so it
keeps no object alive.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import Any

from stayfinite.graph.graph import Span

_SITES: weakref.WeakKeyDictionary[Any, Span] = weakref.WeakKeyDictionary()
_SETTINGS: weakref.WeakKeyDictionary[Any, Span] = weakref.WeakKeyDictionary()


def note_site(created: object, span: Span) -> None:
    """Store `span` as the place that created `created`; ignored for an object without a hash."""
    # A user's class may have no hash, or none before the end of its constructor.
    with contextlib.suppress(TypeError, AttributeError):
        _SITES[created] = span


def note_setting(optimizer: object, span: Span) -> None:
    """Store `span` as the place that last set the learning rate of `optimizer`."""
    with contextlib.suppress(TypeError, AttributeError):
        _SETTINGS[optimizer] = span


def site_of(created: object) -> Span | None:
    """Return the user's expression that created `created`; None if it is not known."""
    with contextlib.suppress(TypeError, AttributeError):
        return _SITES.get(created)
    return None


def last_setting(optimizer: object) -> Span | None:
    """Return the user's line that last set the learning rate of `optimizer`, or None.

    If a Keras callback set it, this is the function that the user gave to the callback.
    """
    with contextlib.suppress(TypeError, AttributeError):
        return _SETTINGS.get(optimizer)
    return None
