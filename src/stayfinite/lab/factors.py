"""What a lab can vary beside the settings of a training: clipping, and mistakes in the loader.

The mistakes are made here on purpose, to see what comes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Factors:
    """How a configuration differs from a sound one."""

    clipnorm: float = 0.0  # of each gradient; 0 for none
    unfilled: bool = False  # the last batch keeps its full size, its missing rows unset
    constant: float = 0.0  # share of the rows of a batch replaced by one grey


class UnfilledLastBatch(keras.utils.PyDataset):
    """Batches as a loader makes them that allocates with `np.empty` and fills what there is.

    The last, partial batch then has rows that are whatever the memory held.
    """

    def __init__(self, clips: Any, batch_size: int) -> None:
        super().__init__()
        self._clips, self._batch_size = clips, batch_size
        self.found: list[dict[str, float]] = []  # in the unfilled rows, one entry a batch

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        clips, labels = self._clips[number]
        whole, count = (self._unfilled(clips), self._unfilled(labels)), len(clips)
        if count < self._batch_size:
            rest = whole[0][count:]
            with np.errstate(all="ignore"):
                self.found.append(
                    {
                        "rows": len(rest),
                        "num_nonfinite": int(np.sum(~np.isfinite(rest))),
                        "num_nonzero": int(np.count_nonzero(rest)),
                        "largest": float(np.max(np.abs(np.nan_to_num(rest)))),
                    }
                )
        return whole

    def _unfilled(self, part: np.ndarray) -> np.ndarray:
        whole = np.empty((self._batch_size, *part.shape[1:]), part.dtype)
        whole[: len(part)] = part
        return whole

    def on_epoch_end(self) -> None:
        """Called by Keras."""
        self._clips.on_epoch_end()


class ConstantClips(keras.utils.PyDataset):
    """Batches in which the first rows are clips of one grey, as of a camera that is covered."""

    def __init__(self, clips: Any, share: float) -> None:
        super().__init__()
        self._clips, self._share = clips, share

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        clips, labels = self._clips[number]
        clips = clips.copy()
        clips[: round(self._share * len(clips))] = 0.5
        return clips, labels

    def on_epoch_end(self) -> None:
        """Called by Keras."""
        self._clips.on_epoch_end()


def varied(clips: Any, factors: Factors, batch_size: int) -> Any:
    """The clips with the mistakes that the factors ask for."""
    if factors.constant:
        clips = ConstantClips(clips, factors.constant)
    return UnfilledLastBatch(clips, batch_size) if factors.unfilled else clips
