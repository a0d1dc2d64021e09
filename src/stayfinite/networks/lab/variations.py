"""What a lab adds to a training: deliberate mistakes of a loader, and the norms of every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from stayfinite.networks.lab.spec import Factors
from stayfinite.networks.training.folder import read_table, write_table


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


COLUMNS = ("step", "epoch", "loss", "gradient_norm", "weight_norm")


@keras.saving.register_keras_serializable(package="stayfinite")
class AdamWithNorms(keras.optimizers.Adam):
    """Adam that also keeps the Euclidean norms of gradients and weights before each step."""

    def build(self, variables: Sequence[Any]) -> None:
        """Called by Keras."""
        if self.built:
            return
        super().build(variables)
        self.norms = self.add_variable((2,), dtype="float32", name="norms")

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Called by Keras."""
        grads = list(grads)
        variables = trainable_variables
        if variables is None:
            variables = self._trainable_variables
        elif not self.built:
            with keras.name_scope(self.name):
                self.build(variables)
        self.norms.assign(ops.stack([_norm(grads), _norm(variables)]))
        super().apply(grads, trainable_variables)


def _norm(tensors: Sequence[Any]) -> Any:
    """In units of the largest element: its square alone may be too large for float32."""
    values = [ops.cast(tensor, "float32") for tensor in tensors if tensor is not None]
    largest = ops.max(ops.stack([ops.max(ops.abs(value)) for value in values]))
    unit = ops.maximum(largest, 1e-30)
    squares = [ops.sum(ops.square(value / unit)) for value in values]
    return unit * ops.sqrt(ops.sum(ops.stack(squares)))


class RecordSteps(keras.callbacks.Callback):
    """Writes a row a step. It makes Keras wait for each step, which an experiment can bear.

    Args:
        path: Of the table. Rows of an earlier start stay, but for epochs that are begun again.

    Attributes:
        rows_of: Gives the number of rows of a batch: Keras tells the mean loss of all rows so far.
    """

    rows_of: Callable[[int], int]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, Any]] = read_table(path)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        self.rows = [row for row in self.rows if row["epoch"] < epoch]
        self._epoch, self._total, self._count = epoch, 0.0, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        rows = self.rows_of(batch)
        total = float((logs or {})["loss"]) * (self._count + rows)
        loss, self._total = (total - self._total) / rows, total
        self._count += rows
        optimizer = self.model.optimizer
        norms = np.asarray(getattr(optimizer, "inner_optimizer", optimizer).norms)
        values = (len(self.rows), self._epoch, loss, float(norms[0]), float(norms[1]))
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))

    def save(self) -> None:
        """Write the table."""
        write_table(self._path, COLUMNS, self.rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        self.save()
