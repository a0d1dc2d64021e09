"""Steps of a hand-written loop with the sentinel, noted in a list and recorded later, all at once.

The report of a step on a CPU is looked at before the next one, so that a bad one is told as early
as without a series. What else is done for a step takes longer than a small one, and is done once
for up to 16 of them.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.recorded_steps import is_frozen
from stayfinite.frameworks.recorder import MAX_COPIED_BYTES, Recorder
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments


class FlaggedSeries:
    """Steps since the last one that was recorded.

    Args:
        recorder: Records them.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._report: Any = None
        self._num_steps = 0
        self._limit = 0

    @property
    def is_open(self) -> bool:
        """Whether the next step may be noted, if the last one was good."""
        return self._num_steps < self._limit

    def was_good(self) -> bool:
        """Whether the last step was good and no suspect."""
        count, suspect = self._report.numpy().tolist()
        return bool(count >= 0 and suspect < 0)

    def begin(self, report: Any) -> None:
        """Steps like the last recorded one may be noted from here on.

        Args:
            report: That of the last recorded step; see `TensorFlowSentinel.note`.
        """
        # TensorFlow does not say whether a tensor of a GPU has been computed.
        if "CPU" in report.device:
            self._limit = self._recorder.most_noted(self._recorder.newest.num_bytes)
            self._report = report

    def note(self, data: Any, report: Any) -> None:
        """A step has been made on `data`, which nothing else can write to."""
        self._recorder.note(data)
        self._report = report
        self._num_steps += 1

    def end(self) -> Any:
        """Record the steps; returns the report of the last one, or None if there is no step."""
        num_steps, report = self._num_steps, self._report
        self._num_steps, self._limit, self._report = 0, 0, None
        if not num_steps:
            return None
        self._recorder.record_noted()
        return report


def kept(data: Any) -> Any:
    """A batch as nothing else can write to it; None if it is too large to be copied."""
    flat = data.arrays if type(data) is CallArguments else data
    if type(flat) is tuple and all([type(leaf) is private.EagerTensor for leaf in flat]):
        return data
    leaves = [leaf for leaf in keras.tree.flatten(data) if is_changeable(leaf)]
    return own(data) if sum(leaf.nbytes for leaf in leaves) <= MAX_COPIED_BYTES else None


def own(data: Any) -> Any:
    """A copy of a batch: a loader may fill the same array again. Tensors never change."""
    return keras.tree.map_structure(
        lambda leaf: np.array(leaf) if is_changeable(leaf) else leaf, data
    )


def is_changeable(leaf: Any) -> bool:
    """Whether other code may write to a leaf of a batch."""
    return isinstance(leaf, np.ndarray) and not is_frozen(leaf)
