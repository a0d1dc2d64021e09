"""Additions of a lab to a training: deliberate mistakes of a loader, and norms of every step.

The norms are computed inside the step, by an optimizer that keeps them among its variables.
"""

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
    """Base of clips with a mistake. The hooks of Keras are not forwarded, as the epoch is set."""

    def __init__(self, clips: Any) -> None:
        super().__init__()
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)


class UnfilledLastBatch(_Mistaken):
    """Batches of a loader that allocates full batches with `np.empty`.

    The samples that the last, partial batch does not fill have undefined values.
    """

    def __init__(self, clips: Any, batch_size: int) -> None:
        super().__init__(clips)
        self._batch_size = batch_size
        self.found: list[dict[str, float]] = []  # values of unfilled samples, one entry per batch

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
    """Batches in which the first samples are clips of one gray value, as of a covered camera."""

    def __init__(self, clips: Any, share: float) -> None:
        super().__init__(clips)
        self._share = share

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        clips, labels = self._clips[number]
        clips = clips.copy()
        clips[: round(self._share * len(clips))] = 0.5
        return clips, labels


def varied(clips: Any, factors: Factors, batch_size: int) -> Any:
    """Return the clips with the mistakes that the factors select."""
    if factors.constant:
        clips = ConstantClips(clips, factors.constant)
    return UnfilledLastBatch(clips, batch_size) if factors.unfilled else clips


COLUMNS = ("step", "epoch", "loss", "gradient_norm", "weight_norm")


@keras.saving.register_keras_serializable(package="stayfinite")
class AdamWithNorms(keras.optimizers.Adam):
    """Adam that also stores the Euclidean norms of gradients and weights before each step."""

    def build(self, variables: Sequence[Any]) -> None:
        """Create the slots of Adam, and the variable for the norms."""
        if self.built:
            return
        super().build(variables)
        weights = list(variables)
        # A function, because an optimizer takes the variables of a list for its own.
        self._weights: Callable[[], list[Any]] = lambda: weights
        self.norms = self.add_variable((2,), dtype="float32", name="norms")

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Store the norms, then apply the update of Adam."""
        grads = list(grads)
        variables = trainable_variables
        if variables is None:
            variables = self._weights()
        elif not self.built:
            with keras.name_scope(self.name):
                self.build(variables)
        self.norms.assign(ops.stack([_norm(grads), _norm(variables)]))
        super().apply(grads, trainable_variables)


def _norm(tensors: Sequence[Any]) -> Any:
    """Compute the norm in units of the largest element, whose square may exceed float32."""
    values = [ops.cast(tensor, "float32") for tensor in tensors if tensor is not None]
    largest = ops.max(ops.stack([ops.max(ops.abs(value)) for value in values]))
    unit = ops.maximum(largest, 1e-30)
    squares = [ops.sum(ops.square(value / unit)) for value in values]
    return unit * ops.sqrt(ops.sum(ops.stack(squares)))


class RecordSteps(keras.callbacks.Callback):
    """Records loss and norms of every step in a table. Reading them makes Keras wait for each step.

    Args:
        path: Path of the table. Rows of an earlier start are kept, except those of epochs that are
            repeated.

    Attributes:
        samples_of: Returns the number of samples of a batch, to compute the loss of a step from the
            mean over the epoch that Keras logs.
    """

    samples_of: Callable[[int], int]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, Any]] = read_table(path)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remove recorded rows of this epoch and later ones."""
        self.rows = [row for row in self.rows if row["epoch"] < epoch]
        self._epoch, self._total, self._count = epoch, 0.0, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record loss and norms of the step."""
        num_samples = self.samples_of(batch)
        total = float((logs or {})["loss"]) * (self._count + num_samples)
        loss, self._total = (total - self._total) / num_samples, total
        self._count += num_samples
        optimizer = self.model.optimizer
        norms = np.asarray(getattr(optimizer, "inner_optimizer", optimizer).norms)
        values = (len(self.rows), self._epoch, loss, float(norms[0]), float(norms[1]))
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))

    def save(self) -> None:
        """Write the table."""
        write_table(self._path, COLUMNS, self.rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the table."""
        self.save()
