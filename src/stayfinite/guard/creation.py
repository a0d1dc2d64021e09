"""Where the user created each layer, operation, loss and optimizer.

An op inside a library's layer has no user code on its stack but the call of `fit`; the line that
the user can change is the one that made the layer.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any

from stayfinite.trace.frames import is_user_file, span_at
from stayfinite.trace.trace import Span

_SITES: weakref.WeakKeyDictionary[Any, Span] = weakref.WeakKeyDictionary()


def record() -> None:
    """From now on note the user's line for each new Keras object. Idempotent."""
    import keras

    _note_on(keras.Operation, "__new__")
    _note_on(keras.losses.Loss, "__init__")
    _note_on(keras.optimizers.Optimizer, "__init__")


def site_of(created: Any) -> Span | None:
    """The user's expression that created `created`, if it was noted."""
    try:
        return _SITES.get(created)
    except TypeError:
        return None


def _note_on(owner: Any, method: str) -> None:
    plain: Callable[..., Any] = getattr(owner, method)
    if getattr(plain, "_stayfinite_notes", False):
        return

    @functools.wraps(plain)
    def noting(subject: Any, *args: Any, **kwargs: Any) -> Any:
        result = plain(subject, *args, **kwargs)
        created = result if method == "__new__" else subject
        if site_of(created) is None:
            span = _innermost_user_span()
            if span is not None:
                _SITES[created] = span
        return result

    noting.__dict__["_stayfinite_notes"] = True
    setattr(owner, method, staticmethod(noting) if method == "__new__" else noting)


def _innermost_user_span() -> Span | None:
    frame = sys._getframe(2)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            return span_at(frame.f_code, frame.f_lasti)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
