"""Mistakes of a loader, made on purpose, to see what comes of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from stayfinite.networks.lab.spec import Factors


class _Mistaken(keras.utils.PyDataset):
    """Clips with a mistake. Their epoch is set from outside, so no hook of Keras is handed on."""

    def __init__(self, clips: Any) -> None:
        super().__init__()
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)


class UnfilledLastBatch(_Mistaken):
    """Batches as a loader makes them that allocates with `np.empty` and fills what there is.

    The last, partial batch then has rows that are whatever the memory held.
    """

    def __init__(self, clips: Any, batch_size: int) -> None:
        super().__init__(clips)
        self._batch_size = batch_size
        self.found: list[dict[str, float]] = []  # in the unfilled rows, one entry a batch

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


class ConstantClips(_Mistaken):
    """Batches in which the first rows are clips of one grey, as of a camera that is covered."""

    def __init__(self, clips: Any, share: float) -> None:
        super().__init__(clips)
        self._share = share

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        clips, labels = self._clips[number]
        clips = clips.copy()
        clips[: round(self._share * len(clips))] = 0.5
        return clips, labels


def varied(clips: Any, factors: Factors, batch_size: int) -> Any:
    """The clips with the mistakes that the factors ask for."""
    if factors.constant:
        clips = ConstantClips(clips, factors.constant)
    return UnfilledLastBatch(clips, batch_size) if factors.unfilled else clips
