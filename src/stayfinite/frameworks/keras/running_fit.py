"""What a running `fit` was given, found among the frames of this thread."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import keras


def dataset_at_work() -> Any:
    """The `PyDataset` that the innermost `fit` on this thread was given; None if it has none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and isinstance(frame.f_locals.get("self"), keras.Model):
            data = frame.f_locals.get("x")
            return data if isinstance(data, keras.utils.PyDataset) else None
        frame = frame.f_back
    return None


def callbacks_at_work() -> Any:
    """The list of callbacks that is calling one of them on this thread; None if none is."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            return owner
        frame = frame.f_back
    return None
